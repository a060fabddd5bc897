"""Rewards and advantages of episodes, against what can be worked out by hand; and the published code's defects."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from rranker.methods import Elimination, Sampled, order_of
from rranker.metrics.graded import ndcgs, reciprocal_ranks
from rranker.permutations import parse, parse_choice
from rranker.rewards import format_scores, listing_rewards, ragged
from rranker.training.grpo.arguments import DataArguments
from rranker.training.grpo.rewards import advantages, decision_rewards
from rranker.training.policy.rollouts import equally_good

GOLD = [0.0, 1.0, 0.0, 0.0]


def discount(place: int) -> float:
    return 1 / math.log2(place + 2)


def test_stepwise_rewards_a_worse_one_and_not_the_gold() -> None:
    assert decision_rewards([GOLD], [[0, 1]], "iranker", "stepwise", 10) == [[1.0, 0.0]]


def test_graded_rewards_what_the_best_reachable_ranking_lost() -> None:
    (found,) = decision_rewards([GOLD], [[0, 1]], "iranker", "graded", 10)
    assert found == pytest.approx([0.0, discount(2) - 1])
    negative = [-3.0, -2.0, -3.0, -3.0]  # utilities of routing may be below zero
    assert decision_rewards([negative], [[0, 1]], "iranker", "graded", 10)[0] == pytest.approx(found)


def test_outcome_is_the_final_ndcg_on_the_last_decision() -> None:
    for method, decisions in (("iranker", [0, 2, 3]), ("dranker", [1, 0, 2])):
        assert decision_rewards([GOLD], [decisions], method, "outcome", 10) == [[0.0, 0.0, 1.0]]
    (late,) = decision_rewards([GOLD], [[0, 2, 1]], "dranker", "outcome", 10)
    assert late == pytest.approx([0.0, 0.0, discount(2)])


def test_dranker_steps_add_up_to_ndcg() -> None:
    relevance = [3.0, 1.0, 0.0, 2.0]
    for order in permutations(range(4)):
        (steps,) = decision_rewards([relevance], [list(order)], "dranker", "stepwise", 10)
        assert sum(steps) == pytest.approx(ndcgs([relevance], [order])[0])


def test_advantages_compare_returns_at_the_same_step() -> None:
    found = advantages([[1.0, 0.0], [1.0, 1.0], [0.0]], 3, 1.0, "none")
    np.testing.assert_allclose(found[:, 0], np.array([1.0, 2.0, 0.0]) - 1.0)
    np.testing.assert_allclose(found[:2, 1], [-0.5, 0.5])
    assert found[2, 1] == 0.0
    only_now = advantages([[1.0, 0.0], [1.0, 1.0], [0.0]], 3, 0.0, "none")
    np.testing.assert_allclose(only_now[:, 0], np.array([1.0, 1.0, 0.0]) - 2 / 3)


def test_groups_do_not_mix_and_equal_returns_teach_nothing() -> None:
    found = advantages([[5.0], [5.0], [1.0], [0.0]], 2, 1.0, "group")
    assert found[:2].tolist() == [[0.0], [0.0]]
    assert found[2, 0] == pytest.approx(-found[3, 0]) == pytest.approx(1.0, abs=1e-3)


def play(relevance: list[float], decisions: list[int]) -> list[int]:
    """Episodes whose logits force `decisions`; what was really decided."""
    rngs = [np.random.default_rng(0)]
    sampling = Sampled(Elimination, len(relevance), rngs, temperature=1.0, settled=equally_good(relevance))
    while sampling.remaining:
        step = len(sampling.rollouts[0].decisions)
        (subset,) = sampling.subsets(1)
        logits = np.array([100.0 if i == decisions[step] else 0.0 for i in subset], dtype=np.float32)
        sampling.observe([subset], [logits])
    return sampling.rollouts[0].decisions


def test_an_episode_ends_when_no_decision_matters_any_more() -> None:
    assert play(GOLD, [0, 1, 2]) == [0, 1]  # the gold is gone: two equals are left
    assert play(GOLD, [0, 2, 3]) == [0, 2, 3]
    assert play([1.0, 1.0, 0.0], [2, 0]) == [2]  # only golds are left
    order = order_of(Elimination(len(GOLD)), [0, 1])
    assert sorted(order) == [0, 1, 2, 3]
    assert order[2:] == (1, 0)


# The published code's defects (design, section 7), each held off by a test of its own.


def test_defect_format_is_judged_on_the_response_alone() -> None:
    prompt = "Think in <think> </think> and answer in <answer> </answer> tags.\nassistant: <think>"
    good, bad = "It is the second.</think><answer>passage 2</answer>", "passage 2"
    assert format_scores([good, bad], prefilled=True).tolist() == [1.0, 0.0]
    assert format_scores([prompt + good], prefilled=True).tolist() == [0.0]


def test_defect_lists_are_parsed_not_compared_character_by_character() -> None:
    ideal, other = "[12] > [1] > [2]", "[1] > [2] > [12]"
    found = [list(parse(text, 12).order[: parse(text, 12).listed]) for text in (ideal, other)]
    assert found == [[11, 0, 1], [0, 1, 11]]
    relevance = [0.0] * 11 + [1.0]
    scored = listing_rewards(*ragged([relevance] * 2), *_ints(found), coverage_weight=0.0)
    assert scored.tolist() == pytest.approx([1.0, discount(2)])


def _ints(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    flat, offsets = ragged([[float(i) for i in row] for row in rows])
    return flat.astype(np.int64), offsets


def test_defect_coverage_costs_on_a_truly_parsed_list() -> None:
    relevance = [1.0, 0.0, 0.0, 0.0]
    full, part = listing_rewards(*ragged([relevance] * 2), *_ints([[0, 1, 2, 3], [0]]), coverage_weight=0.5)
    assert (full, part) == pytest.approx((1.0, 1.0 - 0.5 * 3 / 4))


def test_defect_an_answer_outside_the_list_is_worse_than_excluding_the_gold() -> None:
    choice, _ = parse_choice("<answer>Casablanca</answer>", 3, candidates=["Heat", "Alien", "Up"])
    assert choice is None
    assert decision_rewards([[1.0, 0.0, 0.0]], [[-1]], "iranker", "stepwise", 10) == [[-0.5]]


def test_defect_ties_count_as_equal_and_the_order_of_the_list_says_nothing() -> None:
    tied = [1.0, 1.0, 0.0, 0.0]
    assert reciprocal_ranks([tied] * 2, [[1, 2, 3, 0], [0, 2, 3, 1]]).tolist() == [1.0, 1.0]
    assert decision_rewards([tied] * 2, [[0], [1]], "iranker", "stepwise", 10) == [[0.0], [0.0]]


def test_task_weights_are_shares() -> None:
    assert DataArguments(tasks=["a=3", "b"]).weights() == {"a": 0.75, "b": 0.25}
    with pytest.raises(ValueError, match="positive"):
        DataArguments(tasks=["a=0"]).weights()
    with pytest.raises(ValueError, match=r"name=weight \(squad=0.5\), not 'a=nan'"):
        DataArguments(tasks=["a=nan"]).weights()
    with pytest.raises(ValueError, match="a is given twice, as 1 and as 2"):
        DataArguments(tasks=["a", "a=2"]).weights()
