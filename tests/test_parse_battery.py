"""Malformed model outputs, and what is expected to be read and repaired."""

import pytest

from rranker import permutations

TITLES = ["Alien", "Toy Story 2", "Heat", "The Matrix (1999)", "Aliens"]
M = "missing"

# (text, the ids listed by the model from 0, repairs by kind besides `missing`)
FIVE = [
    ("[3] > [1] > [2] > [5] > [4]", [2, 0, 1, 4, 3], []),
    ("[3]>[1]>[2]>[5]>[4]", [2, 0, 1, 4, 3], []),
    ("[3] > [1]", [2, 0], []),
    ("[3] > [1] > [3] > [2]", [2, 0, 1], ["repeated"]),
    ("[3] > [9] > [1]", [2, 0], ["out_of_range"]),
    ("[0] > [1] > [2]", [0, 1], ["out_of_range"]),
    ("[-1] > [2]", [1], ["out_of_range"]),
    ("[99999999999999999999999] > [2]", [1], ["out_of_range"]),
    ("3 > 1 > 2", [2, 0, 1], []),
    ("3,1,2,5,4", [2, 0, 1, 4, 3], []),
    ("3 1 2", [2, 0, 1], []),
    ("3\n1\n2\n", [2, 0, 1], []),
    ("3\r\n1\r\n2\r\n", [2, 0, 1], []),
    ("[3]\n[1]\n\n[2]", [2, 0, 1], []),
    ("1. [3]\n2. [1]\n3. [2]", [2, 0, 1], []),
    ("1) [3]\n2) [1]\n3) [2]", [2, 0, 1], []),
    ("1. 3\n2. 1\n3. 2", [2, 0, 1], []),
    ("1. Passage 3\n2. Passage 1", [2, 0], []),
    ("1: C\n2: A", [2, 0], []),
    ("- [3]\n- [1]", [2, 0], []),
    ("* 3\n* 1", [2, 0], []),
    ("**[3]** > **[1]**", [2, 0], []),
    ("[3, 1, 2]", [2, 0, 1], []),
    ('["3", "1"]', [2, 0], []),
    ("[[3], [1]]", [2, 0], []),
    ('{"ranking": [3, 1, 2]}', [2, 0, 1], []),
    ('[{"id": 3, "score": 0.9}, {"id": 1, "score": 0.25}]', [2, 0], []),
    ("```json\n[3, 1]\n```", [2, 0], ["prose"]),
    ('["C", "A", "B"]', [2, 0, 1], []),
    ("C > A > B", [2, 0, 1], []),
    ("c, a, b", [2, 0, 1], []),
    ("[C] > [A]", [2, 0], []),
    ("C\nA\nB", [2, 0, 1], []),
    ("C) because it fits\nA) less so", [2, 0], []),
    ("Z > A", [0], ["out_of_range"]),
    ("[3] (0.95) > [1] (0.20)", [2, 0], []),
    ("[3]: 95% > [1]: 5%", [2, 0], []),
    ("[3] = [1] > [2]", [2, 0, 1], []),
    ("[3] → [1] → [2]", [2, 0, 1], []),
    ("[3] ≻ [1] ≻ [2]", [2, 0, 1], []),
    ("[ 3 ] > [ 1 ]", [2, 0], []),
    ("[Passage 3] > [Passage 1]", [2, 0], []),
    ("[D3] > [D1]", [2, 0], []),
    ("doc3 > doc1", [2, 0], []),
    ("#3 > #1", [2, 0], []),
    ("(3) > (1)", [2, 0], []),
    ("Sure! Here is the ranking: [3] > [1]", [2, 0], ["prose"]),
    ("Passage [2] mentions it. My ranking: [3] > [1] > [2]", [2, 0, 1], ["prose"]),
    ("[3] > [1] > [2]\n\nExplanation: [3] names the author.", [2, 0, 1], []),
    ("I compared [1], [2], [3]. Ranking: [3] > [1] > [2]", [2, 0, 1], ["prose"]),
    ("[3] is best since it says so\n[1] comes next by far\n[2] is weak", [2, 0, 1], []),
    ("<think>[1] > [2]</think>[3] > [1]", [2, 0], []),
    ("<think>[1] > [2]</think><answer>[3] > [1]</answer>", [2, 0], []),
    ("[1] > [2]</think>[3] > [1]", [2, 0], []),
    ("<think>so [3] > [1]", [2, 0], ["unclosed_think", "prose"]),
    ("<answer>[3] > [1]", [2, 0], ["unclosed_answer"]),
    ("<answer>[1]</answer> wait <answer>[3] > [1]</answer>", [2, 0], []),
    ("<think>a<answer>[3]", [2], ["unclosed_think", "unclosed_answer"]),
    ("<think>a</think><think>b [2] > [1]", [1, 0], ["unclosed_think"]),
    ("［３］＞［１］", [2, 0], ["full_width"]),
    ("３、１、２", [2, 0, 1], ["full_width"]),
    ("【3】>【1】", [2, 0], ["full_width"]),
    ("Ｃ＞Ａ", [2, 0], ["full_width"]),
    ("2 > 0 > 1 > 4 > 3", [2, 0, 1, 4, 3], ["zero_based"]),
    ("Candidate A is the best", [0], []),
    ("The answer is A.", [0], ["prose"]),
    ("A film about nothing", [], ["unparsed"]),
    ("I think so", [], ["unparsed"]),
    ("[3", [2], []),
    ("[3] > [1] > [", [2, 0], []),
    ("[3]]]] > [[[1]", [2, 0], []),
    ("", [], ["unparsed"]),
    ("   \n\t ", [], ["unparsed"]),
    ("I cannot rank these.", [], ["unparsed"]),
    ("[7] > [8]", [], ["out_of_range", "out_of_range", "unparsed"]),
    ("77", [], ["out_of_range", "unparsed"]),
    ("\x00\xff[3]\x00[1]", [2, 0], ["prose"]),
]

BY_TEXT = [
    ("Heat", [2], []),
    ("heat\nALIEN", [2, 0], []),
    ("1. Toy Story 2\n2. Alien\n3. Heat", [1, 0, 2], []),
    ("- Toy Story 2\n- Heat.", [1, 2], []),
    ('["Heat", "Toy Story 2"]', [2, 1], ["substring", "substring"]),
    ("Heat > Aliens > Alien", [2, 4, 0], ["substring"] * 3),
    ("The best fit is Toy Story 2", [1], ["substring"]),
    ("The Matrix", [3], ["substring"]),
    ("Toy Storie 2", [1], ["closest"]),
    ("Alienss\nHeat", [4, 2], ["closest"]),
    ("<think>Alien?</think><answer>Heat</answer>", [2], []),
    ("passage 3", [2], []),
    ("[3] > [1]", [2, 0], []),
    ("Heat\nHeat", [2], []),
    ("nothing of the sort", [], ["unparsed"]),
    # numbered titles, one of them made up: the numbers are no ids
    ("1. The Ring\n2. Heat\n3. Alien", [2, 0], []),
    ("1) Heat - great\n2) Alien - good\n3) Solaris - slow", [2, 0], ["substring", "substring"]),
    ("Rank 1: Heat\nRank 2: Alien", [2, 0], ["substring", "substring"]),
    ("1. Heat, 2. Alien, 3. Aliens", [2, 0, 4], ["substring"] * 3),
]


def check(parsed, listed, repairs):
    assert list(parsed.order[: parsed.listed]) == listed
    rest = [i for i in range(5) if i not in listed]
    assert list(parsed.order[parsed.listed :]) == rest
    assert sorted(r.kind for r in parsed.repairs if r.kind != M) == sorted(repairs)
    assert parsed.count(M) == (len(rest) if listed else 0)


@pytest.mark.parametrize(("text", "listed", "repairs"), FIVE)
def test_ids(text, listed, repairs):
    check(permutations.parse(text, 5), listed, repairs)


@pytest.mark.parametrize(("text", "listed", "repairs"), BY_TEXT)
def test_texts(text, listed, repairs):
    check(permutations.parse(text, 5, candidates=TITLES), listed, repairs)


def test_the_battery_is_large_enough():
    assert len({text for text, _, repairs in FIVE + BY_TEXT}) >= 60


def test_missing_candidates_follow_the_fallback():
    assert permutations.parse("[2]", 4, fallback=[3, 2, 1, 0]).order == (1, 3, 2, 0)
    with pytest.raises(ValueError, match="permutation"):
        permutations.parse("[2]", 3, fallback=[0, 0, 1])


def test_repairs_name_the_candidate():
    parsed = permutations.parse("[2] > [2] > [7]", 3)
    assert [(r.kind, r.index) for r in parsed.repairs] == [
        *(("repeated", 1), ("out_of_range", None)),
        *((M, 0), (M, 2)),
    ]
    assert "id 7 names no candidate" in parsed.repairs[1].message


def test_a_choice():
    assert permutations.parse_choice("<think>x</think><answer>passage 3</answer>", 5) == (2, ())
    assert permutations.parse_choice("Heat", 5, candidates=TITLES) == (2, ())
    choice, repairs = permutations.parse_choice("no idea", 5)
    assert choice is None
    assert [r.kind for r in repairs] == ["unparsed"]
