"""Windows: a plain loop gives the same ranking; the certified top k is the whole list's; nobody is ever lost."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rranker.methods import Elimination, Greedy, Listwise, Pointwise, Selection, Windows
from tests.methods.test_players import play, world

Logits = Callable[[tuple[int, ...]], np.ndarray]


def run(windows: Windows, method: type, logits: Logits, top_k: int | None) -> list[int]:
    """Plays every window greedily; returns how many candidates each stage had."""
    sizes = []
    while windows.remaining:
        outcomes, latest = [], []
        sizes.append(sum(map(len, windows.windows)))
        for index, window in enumerate(windows.windows):
            most = top_k if len(windows.windows) == 1 else windows.going_on(window)
            player = Greedy(method(len(window), top_k=most))
            play(player, lambda asked, window=window: logits(tuple(window[i] for i in asked)))
            for decision in player.decisions:
                windows.decide(index, decision)
            outcomes.append(player.outcome())
            latest.append(player.latest)
        windows.end_stage(outcomes, latest)
    return sizes


def reference(n: int, window: int, value: np.ndarray) -> list[int]:
    """Halving by a plain sort, for a judge who sees only `value`; ties of a stage by place in their window."""
    alive, below = list(range(n)), []
    while len(alive) > window:
        count = math.ceil(len(alive) / window)
        hands = [sorted(alive[i::count], key=lambda p: -value[p]) for i in range(count)]
        halves = [math.ceil(len(hand) / 2) for hand in hands]
        alive = [
            p
            for _, _, p in sorted(
                (r, i, p) for i, h in enumerate(hands) for r, p in enumerate(h[: halves[i]])
            )
        ]
        gone = [
            [hand[r] for hand, half in zip(hands, halves, strict=True) if half <= r < len(hand)]
            for r in range(window)
        ]
        below = [set(tier) for tier in gone if tier] + below
    return [*sorted(alive, key=lambda p: -value[p]), *below]


@pytest.mark.parametrize("method", [Elimination, Selection, Listwise])
@pytest.mark.parametrize(("n", "window"), [(3, 2), (5, 4), (9, 4), (30, 7), (100, 20), (101, 2)])
def test_windows_are_the_plain_loop(method: type, n: int, window: int) -> None:
    value = np.random.default_rng(n).normal(size=n)
    sign = -1 if method is Elimination else 1
    windows = Windows(method, layout=tuple(range(n)), window=window)
    sizes = run(windows, method, lambda asked: sign * value[list(asked)], None)
    order = list(windows.outcome().order)
    assert sorted(order) == list(range(n))
    for tier in reference(n, window, value):
        members = tier if isinstance(tier, set) else {tier}
        assert set(order[: len(members)]) == members
        del order[: len(members)]
    assert len(sizes) == windows.stages <= math.log2(n / window) + 2
    assert sum(sizes) <= 2 * n + windows.windows_played


@pytest.mark.parametrize("method", [Elimination, Selection, Listwise])
def test_the_top_k_is_certified_where_it_says_so(method: type) -> None:
    rng = np.random.default_rng(0)
    sign = -1 if method is Elimination else 1
    for _ in range(60):
        n, window = int(rng.integers(3, 80)), int(rng.integers(2, 20))
        top_k, value = int(rng.integers(1, 12)), rng.normal(size=n)
        windows = Windows(method, layout=tuple(rng.permutation(n).tolist()), window=window, top_k=top_k)
        assert windows.certified == (top_k <= window // 2)
        run(windows, method, lambda asked, value=value: sign * value[list(asked)], top_k)
        order = windows.outcome().order
        assert sorted(order) == list(range(n))
        if windows.certified:
            assert list(order[:top_k]) == np.argsort(-value)[:top_k].tolist()


def test_rounds_exclude_each_of_those_who_leave_once_and_no_survivor() -> None:
    windows = Windows(Elimination, layout=tuple(range(40)), window=10)
    run(windows, Elimination, world(1, 40), None)
    outcome = windows.outcome()
    gone = [place for decision in outcome.decisions for place in decision.named]
    assert len(gone) == len(set(gone)) == 39
    last = [d for d in outcome.decisions if set(d.asked) <= set(outcome.order[:10])]
    assert [d.named[0] for d in last] == list(outcome.order[9:0:-1])


def test_candidates_asked_about_alone_rank_as_in_one_list() -> None:
    value = np.random.default_rng(3).normal(size=50)
    whole = Greedy(Pointwise(50))
    play(whole, lambda asked: value[list(asked)])
    for window in (2, 7, 49):
        windows = Windows(Pointwise, layout=tuple(range(49, -1, -1)), window=window, top_k=4)
        assert windows.certified
        run(windows, Pointwise, lambda asked: value[list(asked)], None)
        assert windows.stages == 1
        assert windows.outcome() == whole.outcome()


def test_an_outcome_before_the_end_and_a_window_of_one_are_refused() -> None:
    with pytest.raises(ValueError, match="still to be played"):
        Windows(Elimination, layout=(0, 1, 2), window=2).outcome()
    with pytest.raises(ValueError, match="at least 2 candidates, not 1"):
        Windows(Elimination, layout=(0, 1, 2), window=1)
