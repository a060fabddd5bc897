"""The player that ranks: it takes the most probable candidate each time, and guesses what later rounds will ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .episode import Episode
from .outcome import Subset, probabilities
from .player import Player

Relayout = Literal["keep", "best_first"]
"""`keep`: survivors stay in their order. `best_first`: those behind a gap are re-sorted by the latest verdict, so that
whoever is likely to leave next stands last, and the prompt before it can be reused."""


class Greedy(Player):
    """One query's ranking by a method; see `rranker.engine.method.Method`. Works on logits alone.

    `relayout` says how a round's prompt follows from the last one; `nested` whether guesses must be prefixes of
    the present prompt (causal attention) or may be any subset (block attention). With `stop_below`, a verdict decides
    all places at once when each of its preferences is doubted by less than that: by the Plackett-Luce model of its
    logits, the one named r-th comes before all that follow with a probability above 1 - stop_below, for every r.
    """

    def __init__(
        self,
        episode: Episode,
        *,
        relayout: Relayout = "keep",
        nested: bool = False,
        stop_below: float | None = None,
    ) -> None:
        super().__init__(episode)
        self._relayout, self._nested, self._stop_below = relayout, nested, stop_below
        self._layout: Subset = tuple(range(episode.n))

    def subsets(self, depth: int) -> list[Subset]:
        """The next question, then those of later rounds if the latest verdict stays as it is."""
        subsets = [self._laid(self._episode)]
        if not self._decisions or depth < 2:
            return subsets
        future = self._episode.copy()
        while len(subsets) < depth and future.remaining > 1:
            future.play(self._first(future.choices, future.leaving))
            if not future.remaining:  # of some methods it is known only at most
                break
            subset = self._laid(future)
            if self._nested and subset != subsets[-1][: len(subset)]:
                break  # the survivors would have to be encoded anew: not a guess worth paying for
            subsets.append(subset)
        return subsets

    @property
    def latest(self) -> NDArray[np.float64]:
        """[n]: each candidate's logit in the last verdict about it, by place; 0 where there was none."""
        return self._latest.copy()

    def observe(self, subsets: Sequence[Subset], logits: Sequence[NDArray[np.floating]]) -> int:
        """Plays rounds while they were asked about exactly what the rules now ask; returns how many."""
        used = 0
        for asked, row in zip(subsets, logits, strict=True):
            if not self.remaining or asked != self._laid(self._episode):
                break
            self._play(asked, np.asarray(row, dtype=np.float64))
            used += 1
        return used

    def _play(self, asked: Subset, logits: NDArray[np.float64]) -> None:
        self._latest[list(asked)] = logits
        episode = self._episode
        choices = episode.choices if len(episode.choices) < len(asked) else asked
        count = len(choices) - 1 if self._certain(asked, logits) else episode.leaving
        named = self._first(choices, count)
        self._decide(asked, named, probabilities(logits))
        left = set(episode.left)
        gone = [place for place in named if place not in left]
        if self._relayout == "best_first" and gone:
            gap = min(self._layout.index(place) for place in gone)
            behind = [place for place in self._layout[gap:] if place not in gone]
            behind.sort(key=lambda place: self._latest[place])
            self._layout = (*self._layout[:gap], *behind)

    def _certain(self, asked: Subset, logits: NDArray[np.float64]) -> bool:
        """Whether a verdict about all that are left decides all their places."""
        if (
            self._stop_below is None
            or not self._episode.names_for_good
            or len(asked) != len(self._episode.left)
        ):
            return False
        weights = np.sort(np.exp(logits - logits.max()))
        return bool((weights[1:] / np.cumsum(weights)[1:] > 1 - self._stop_below).all())

    def _laid(self, episode: Episode) -> Subset:
        """Whom the episode asks about, as the prompt shows them."""
        asked = episode.asked
        if self._relayout == "keep":
            return asked
        shown = set(asked)
        return tuple([place for place in self._layout if place in shown])
