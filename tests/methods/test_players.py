"""Every method, played three ways, against loops written out in full."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rranker.methods import (
    Elimination,
    Episode,
    Greedy,
    Listwise,
    Sampled,
    Selection,
    method_class,
    method_names,
    order_of,
    register,
    replay,
)

METHODS = [Elimination, Selection, Listwise]


def world(seed: int, n: int):
    """Verdicts that depend on who is asked about, as a model's do: logits(asked) → one a candidate."""
    rng = np.random.default_rng(seed)
    base, pairs = rng.normal(size=n), rng.normal(size=(n, n)) * 0.4

    def logits(asked):
        asked = list(asked)
        return base[asked] + pairs[np.ix_(asked, asked)].sum(1)

    return logits


def reference(method: type[Episode], n: int, logits) -> list[int]:
    """Best first, by the plain loop of the paper, without classes, guesses or layouts."""
    left, order = list(range(n)), []
    if method is Listwise:
        return sorted(left, key=lambda i: -logits(left)[i])
    while len(left) > 1:
        named = left[int(np.argmax(logits(left)))]
        left.remove(named)
        order.append(named)
    return [*left, *reversed(order)] if method is Elimination else [*order, *left]


def play(player, logits, depth=1, shuffle=None) -> int:
    """To the end; returns how many steps it took."""
    steps = 0
    while player.remaining:
        subsets = player.subsets(depth)
        assert len(subsets) <= depth
        used = player.observe(subsets, [logits(subset) for subset in subsets])
        assert 1 <= used <= len(subsets)
        steps += 1
    return steps


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_greedy_is_the_plain_loop_however_deep_it_guesses(method, n):
    for seed in range(20):
        logits = world(seed, n)
        expected = reference(method, n, logits)
        for relayout, nested, depth in itertools.product(("keep", "best_first"), (False, True), (1, 3, 99)):
            player = Greedy(method(n), relayout=relayout, nested=nested)
            play(player, logits, depth)
            outcome = player.outcome()
            assert list(outcome.order) == expected
            assert all(0 <= kept <= 1 for kept in outcome.kept)


@pytest.mark.parametrize("method", [Elimination, Selection])
def test_guesses_save_steps_where_verdicts_do_not_depend_on_company(method):
    base = np.random.default_rng(0).normal(size=12)
    player = Greedy(method(12))
    assert play(player, lambda subset: base[list(subset)], depth=99) == 2


@pytest.mark.parametrize("method", [Elimination, Selection])
def test_nested_guesses_are_prefixes_of_the_question(method):
    logits = world(3, 10)
    player = Greedy(method(10), relayout="best_first", nested=True)
    while player.remaining:
        subsets = player.subsets(9)
        assert all(subset == subsets[0][: len(subset)] for subset in subsets)
        player.observe(subsets, [logits(subset) for subset in subsets])


@pytest.mark.parametrize("method", METHODS)
def test_equal_verdicts_keep_the_order_of_the_prompt(method):
    player = Greedy(method(6))
    play(player, lambda subset: np.zeros(len(subset)))
    assert list(player.outcome().order) == list(range(6))


def test_selection_plays_k_rounds_and_orders_the_rest_by_the_last_verdict():
    logits = world(1, 10)
    player = Greedy(Selection(10, top_k=3))
    assert player.remaining == 3
    assert play(player, logits) == 3
    outcome = player.outcome()
    assert list(outcome.order[:3]) == reference(Selection, 10, logits)[:3]
    last = outcome.decisions[-1].asked
    assert list(outcome.order[3:]) == [
        place
        for place in sorted(last, key=lambda p: -logits(last)[last.index(p)])
        if place != outcome.order[2]
    ]
    assert Selection(3, top_k=10).remaining == 2


def test_elimination_for_the_top_halves_what_is_left_above_it():
    player = Greedy(Elimination(100, top_k=10))
    rounds = player.remaining
    assert rounds == play(player, world(2, 100))
    sizes = [len(decision.asked) for decision in player.outcome().decisions]
    assert sizes[:4] == [100, 55, 33, 22]
    assert sorted(player.outcome().order) == list(range(100))


def test_one_shot_confidences_are_plackett_luce():
    logits = np.array([0.3, 2.0, -1.0])
    player = Greedy(Listwise(3))
    player.observe(player.subsets(1), [logits])
    weights = np.exp(logits)
    expected = [weights[1] / weights.sum(), weights[0] / (weights[0] + weights[2]), 1.0]
    assert player.outcome().kept == pytest.approx(expected)


def test_an_outcome_before_the_end_is_refused():
    with pytest.raises(ValueError, match="4 rounds are still to be played"):
        Greedy(Elimination(5)).outcome()
    with pytest.raises(ValueError, match="at least one candidate"):
        Elimination(0)


@pytest.mark.parametrize("method", METHODS)
def test_draws_are_those_of_the_rules_and_replay_gives_them_back(method):
    """Log-probabilities of every rollout equal a softmax over who could be named, worked out from its decisions."""
    logits, n = world(5, 6), 6
    rngs = [np.random.default_rng(seed) for seed in range(40)]
    player = Sampled(method, n, rngs, temperature=0.7, settled=lambda left: len(left) < 2)
    while player.remaining:
        subsets = player.subsets(1)
        assert len(set(subsets)) == len(subsets)
        assert player.observe(subsets, [logits(subset) for subset in subsets]) == len(subsets)
    assert len({tuple(r.decisions) for r in player.rollouts}) > 10
    for rollout in player.rollouts:
        assert len(rollout.decisions) == n - 1
        steps = list(replay(method(n), rollout.decisions))
        for (asked, choices), decision, logp in zip(steps, rollout.decisions, rollout.logps, strict=True):
            row = logits(asked)[[asked.index(choice) for choice in choices]] / 0.7
            expected = row[choices.index(decision)] - np.log(np.exp(row).sum())
            assert logp == pytest.approx(expected)
        order = order_of(method(n), rollout.decisions)
        assert sorted(order) == list(range(n))
        named = order[: n - 1] if method.kind == "select" else order[:0:-1]
        assert list(named) == rollout.decisions


def test_a_limit_and_a_settled_list_end_a_rollout():
    ends = Sampled(
        Elimination, 5, [np.random.default_rng(0)], temperature=1, settled=lambda left: False, limit=2
    )
    play(ends, world(0, 5))
    assert len(ends.rollouts[0].decisions) == 2
    done = Sampled(Elimination, 5, [np.random.default_rng(0)], temperature=1, settled=lambda left: True)
    assert done.remaining == 0


def test_replay_refuses_what_the_rules_do_not_allow():
    with pytest.raises(ValueError, match="candidate 2 could not be named"):
        list(replay(Elimination(4), [2, 2]))


def test_the_registry():
    assert set(method_names()) >= {"iranker", "dranker", "selection"}
    assert method_class("iranker") is Elimination
    with pytest.raises(ValueError, match=r"method must be one of 'iranker', .*, not 'oracle'"):
        method_class("oracle")
    with pytest.raises(ValueError, match="there is a method 'iranker' already, Elimination"):

        @register
        class Other(Elimination):
            name = "iranker"
