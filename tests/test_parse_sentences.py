"""Ordinary answers of models, read as a person would; and what no answer may do to the parser."""

import random
import unicodedata

import pytest

from rranker import permutations
from tests.support.parse_keys import KEY_CHOICES
from tests.support.parse_rankings import RANKINGS
from tests.support.parse_sentences import CHOICES as SENTENCES
from tests.support.parse_sentences import TITLE_CHOICES, TITLES

CHOICES = SENTENCES + KEY_CHOICES


def choice(text, candidates=None):
    found, _ = permutations.parse_choice(text, 4, candidates=candidates)
    return None if found is None else found + 1


def listed(text, n=4, **options):
    parsed = permutations.parse(text, n, **options)
    assert sorted(parsed.order) == list(range(n))
    return [i + 1 for i in parsed.order[: parsed.listed]]


@pytest.mark.parametrize(("text", "named"), CHOICES)
def test_a_choice_is_read_as_a_person_reads_it(text, named):
    assert choice(text) == named


@pytest.mark.parametrize(("text", "named"), TITLE_CHOICES)
def test_a_choice_by_its_own_text(text, named):
    assert choice(text, TITLES) == named


@pytest.mark.parametrize(("text", "order"), RANKINGS)
def test_a_ranking_is_read_as_a_person_reads_it(text, order):
    assert listed(text) == order


@pytest.mark.parametrize(("text", "named"), [row for row in CHOICES if row[1] is not None])
def test_a_choice_holds_inside_the_tags_of_an_answer(text, named):
    if "<" not in text and "</" not in text:
        assert choice(f"<think>[4] > [3]; 1 or 4?</think>\n<answer>{text}</answer>") == named


def test_the_batteries_are_large_enough():
    assert len({text for text, _ in CHOICES}) >= 150
    assert len({text for text, _ in RANKINGS}) >= 150


def test_a_worst_first_list_is_reported_as_turned_round():
    parsed = permutations.parse("[2] < [1] < [3]", 3)
    assert [(r.kind, r.index) for r in parsed.repairs] == [("reversed", None)]
    assert permutations.parse("[2] < [1]", 3, fallback=[2, 1, 0]).order == (0, 1, 2)
    mixed = permutations.parse("<b>[2]</b>, <b>[1]</b>, <b>[3]</b>", 3)
    assert (mixed.order, mixed.count("reversed")) == ((1, 0, 2), 0)


def test_digits_of_every_script_are_read():
    """Against Python's own table of Unicode."""
    zeros = [c for c in map(chr, range(0x80, 0x110000)) if unicodedata.decimal(c, None) == 0]
    assert len(zeros) > 50
    for zero in zeros:
        three, one, two = (chr(ord(zero) + value) for value in (3, 1, 2))
        parsed = permutations.parse(f"[{three}] > [{one}{zero}] > [{two}]", 10)
        assert parsed.order[: parsed.listed] == (2, 9, 1), unicodedata.name(zero)
        assert {r.kind for r in parsed.repairs} - {"missing"} <= {"digits", "full_width"}


def test_a_range_beyond_the_candidates_names_its_ends():
    assert listed("[2-999999999999]") == [2]
    parsed = permutations.parse("[1-1000000]" * 2000, 5)
    assert parsed.order == (0, 1, 2, 3, 4)


def test_candidates_that_look_like_numbers_are_read_by_their_ids_in_brackets():
    assert listed("[1] > [3]", 3, candidates=["3", "1", "2"]) == [1, 3]
    assert listed("1\n3", 3, candidates=["3", "1", "2"]) == [2, 1]


def test_a_choice_outside_the_list_names_nobody_and_says_so():
    found, repairs = permutations.parse_choice("Exclude [9]. Passages [1] and [2] are better.", 4)
    assert found is None
    assert [r.kind for r in repairs] == ["out_of_range", "unparsed"]
    assert "id 9" in repairs[0].message


@pytest.mark.parametrize("function", [permutations.parse, permutations.parse_choice])
def test_what_is_no_text_is_refused_with_what_to_pass(function):
    for bad in (None, 3, ["[1]"], bytearray(b"[1]")):
        with pytest.raises(TypeError, match=f'text must be str or bytes, not {type(bad).__name__}.*""'):
            function(bad, 3)
    with pytest.raises(TypeError, match="candidate 1 must be str or bytes, not NoneType"):
        function("[1]", 2, candidates=["a", None])
    with pytest.raises(TypeError, match="not one text"):
        function("[1]", 2, candidates="ab")
    with pytest.raises(TypeError, match="n must be a whole number, not"):
        function("[1]", 2.0)
    with pytest.raises(ValueError, match="n must be 0 or more"):
        function("[1]", -1)
    with pytest.raises(ValueError, match="n = 2 texts, not 1"):
        function("[1]", 2, candidates=["a"])
    with pytest.raises(ValueError, match="base must lie"):
        function("[1]", 2, base=-(2**63))


def fragments(rng):
    texts = [text for text, _ in CHOICES + RANKINGS]
    for _ in range(1500):
        parts = []
        for text in rng.choices(texts, k=rng.randint(1, 5)):
            start = rng.randint(0, len(text))
            parts.append(text[start : rng.randint(start, len(text))])
        text = rng.choice(["", " ", "\n", ", ", "{", '"']).join(parts).encode()
        if rng.random() < 0.3 and text:
            text = bytearray(text)
            text[rng.randrange(len(text))] = rng.randrange(256)
        yield bytes(text)


@pytest.mark.parametrize("candidates", [None, TITLES])
def test_shuffled_pieces_of_answers_give_a_full_permutation_and_a_choice_in_range(candidates):
    for text in fragments(random.Random(0)):
        parsed = permutations.parse(text, 4, candidates=candidates)
        assert sorted(parsed.order) == [0, 1, 2, 3]
        assert 0 <= parsed.listed <= 4
        found, repairs = permutations.parse_choice(text, 4, candidates=candidates)
        assert found in (None, 0, 1, 2, 3)
        assert (found is None) == ("unparsed" in {r.kind for r in repairs})


def words(rng, count):
    return ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(count)]


def misspelt(rng, text):
    at = rng.randrange(1, len(text) - 2)
    return text[:at] + "z" + text[at + 1 :]


def test_the_closest_of_many_candidates_is_the_one_that_was_misspelt():
    """Above 64 candidates a line is compared with a shortlist alone; that must not cost the right one."""
    rng = random.Random(0)
    vocabulary = words(rng, 60)
    titles = list({" ".join(rng.choices(vocabulary, k=4)) for _ in range(600)})
    order = rng.sample(range(len(titles)), len(titles))
    parsed = permutations.parse(
        "\n".join(misspelt(rng, titles[i]) for i in order), len(titles), candidates=titles
    )
    assert parsed.listed == len(titles)
    wrong = sum(a != b for a, b in zip(parsed.order, order, strict=True))
    assert wrong <= 0.01 * len(titles)


def test_titles_within_sentences_are_found_where_they_stand():
    rng = random.Random(1)
    vocabulary = words(rng, 400)
    titles = list({" ".join(rng.sample(vocabulary, 3)) for _ in range(300)})
    order = rng.sample(range(len(titles)), len(titles))
    text = "\n".join(f"I liked {titles[i]}, and more." for i in order)
    parsed = permutations.parse(text, len(titles), candidates=titles)
    assert list(parsed.order) == order
    assert listed("Heaton, Aliens and Heat", 2, candidates=["Alien", "Heat"]) == [2]


def test_ten_thousand_misspelt_texts_are_read():
    """Comparing every line with every candidate would hang here; `python -m bench.test_parse` prints the times."""
    rng = random.Random(2)
    vocabulary = words(rng, 3000)
    titles = [" ".join(rng.choices(vocabulary, k=6)) + f" {i}" for i in range(10_000)]
    order = rng.sample(range(len(titles)), len(titles))
    parsed = permutations.parse(
        "\n".join(misspelt(rng, titles[i]) for i in order), len(titles), candidates=titles
    )
    assert parsed.listed == len(titles)
    assert sum(a != b for a, b in zip(parsed.order, order, strict=True)) <= 10
