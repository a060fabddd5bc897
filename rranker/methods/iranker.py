"""IRanker: round after round, the model names the least fitting of those left, and it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .outcome import Decision, Outcome

Alive = tuple[int, ...]
Order = Literal["fixed", "best_first"]
"""`fixed` keeps survivors in their order; `best_first` re-sorts those after a gap by the latest verdict."""


class IRanker:
    """One query's elimination. Works on places 0 … n-1 of its walking order, and on logits alone.

    `order` says how a round's prompt follows from the last one; `nested` whether guesses must be prefixes of
    the present prompt (causal attention) or may be any subset (block attention). With `top_k`, rounds exclude
    half of what stands above k (at least one) until k are left: about log2(n / k) rounds in place of n - k.
    """

    kind: Literal["exclude"] = "exclude"

    def __init__(
        self, n: int, *, top_k: int | None = None, order: Order = "fixed", nested: bool = False
    ) -> None:
        if n < 1:
            raise ValueError(f"there must be at least one candidate, not {n}")
        self._alive: Alive = tuple(range(n))
        self._top_k, self._order, self._nested = top_k, order, nested
        self._latest = np.zeros(n)  # each candidate's exclusion logit in the last round it saw
        self._decisions: list[Decision] = []

    @property
    def remaining(self) -> int:
        rounds, alive = 0, len(self._alive)
        while alive > 1:
            alive -= self._leaving(alive)
            rounds += 1
        return rounds

    def asks(self, depth: int) -> list[Alive]:
        """The survivors, then whom later rounds would see if the latest verdict stays as it is."""
        asks, alive = [self._alive], self._alive
        losers = self._losers(alive, self._latest[list(alive)]) if self._decisions else ()
        while len(asks) < depth and len(alive) > 2 and losers:
            count = self._leaving(len(alive))
            gone, losers = losers[:count], losers[count:]
            if self._nested and set(gone) != set(alive[len(alive) - count :]):
                break  # the survivors would have to be encoded anew: not a guess worth paying for
            alive = tuple([place for place in alive if place not in gone])
            if len(alive) > 1:
                asks.append(alive)
        return asks

    def observe(self, asks: Sequence[Alive], logits: Sequence[NDArray[np.floating]]) -> int:
        """Plays rounds while they were asked about exactly those still alive; returns how many."""
        used = 0
        for asked, row in zip(asks, logits, strict=True):
            if asked != self._alive or len(self._alive) < 2:
                break
            self._play(np.asarray(row, dtype=np.float64))
            used += 1
        return used

    def outcome(self) -> Outcome:
        """The ranking, once `remaining` is 0."""
        if len(self._alive) != 1:
            raise ValueError(f"{len(self._alive)} candidates are still alive")
        order, kept = [self._alive[0]], [1.0]
        if self._decisions:
            last = self._decisions[-1]
            kept = [1.0 - last.probabilities[last.alive.index(self._alive[0])]]
        for decision in reversed(self._decisions):
            for place in reversed(decision.excluded):
                order.append(place)
                kept.append(1.0 - decision.probabilities[decision.alive.index(place)])
        return Outcome(tuple(order), tuple(kept), tuple(self._decisions))

    def _play(self, logits: NDArray[np.float64]) -> None:
        alive = self._alive
        self._latest[list(alive)] = logits
        weights = np.exp(logits - logits.max())
        gone = self._losers(alive, logits)[: self._leaving(len(alive))]
        self._decisions.append(Decision(alive, gone, tuple((weights / weights.sum()).tolist())))
        left = [place for place in alive if place not in gone]
        if self._order == "best_first":
            gap = min(alive.index(place) for place in gone)
            left[gap:] = sorted(left[gap:], key=lambda place: self._latest[place])
        self._alive = tuple(left)

    @staticmethod
    def _losers(alive: Alive, logits: NDArray[np.float64]) -> Alive:
        """All of `alive`, worst first. Among equals the later goes first: identical texts keep their input order."""
        return tuple([alive[i] for i in np.lexsort((-np.arange(len(alive)), -logits)).tolist()])

    def _leaving(self, alive: int) -> int:
        surplus = alive - self._top_k if self._top_k is not None else 0
        return max(1, surplus // 2)
