"""The player that explores: it draws who is named, for many rollouts of one query at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..prompts.segments import Kind
from .episode import Episode
from .outcome import Subset


@dataclass
class Rollout:
    """One sampled episode: whom it named, one after another, and with what log-probability."""

    episode: Episode
    decisions: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)


class Sampled:
    """Rollouts of one query, one a random generator; see `rranker.engine.method.Method`.

    All of them answer from one step: they are questions about arbitrary subsets, and equal ones are asked once. A
    rollout ends after `limit` decisions, or when `settled(left)` says that no decision could change anything any more.
    `temperature` divides the logits.
    """

    def __init__(
        self,
        method: type[Episode],
        n: int,
        rngs: Sequence[np.random.Generator],
        *,
        temperature: float,
        settled: Callable[[Subset], bool],
        limit: int | None = None,
    ) -> None:
        self.rollouts = [Rollout(method(n)) for _ in rngs]
        self._kind, self._rngs, self._temperature, self._settled = method.kind, rngs, temperature, settled
        self._limit = n if limit is None else limit

    @property
    def kind(self) -> Kind:
        """What every question asks for."""
        return self._kind

    @property
    def remaining(self) -> int:
        """Questions that the longest rollout has still to come."""
        return max((self._limit - len(r.decisions) for r in self.rollouts if self._going(r)), default=0)

    def subsets(self, depth: int) -> list[Subset]:
        """What each rollout asks next; nothing is guessed."""
        return list(dict.fromkeys(r.episode.asked for r in self.rollouts if self._going(r)))

    def observe(self, subsets: Sequence[Subset], logits: Sequence[NDArray[np.floating]]) -> int:
        """Draws for every rollout as long as the verdict at hand answers its question; all of `subsets` count."""
        found = {
            subset: np.asarray(row, dtype=np.float64) for subset, row in zip(subsets, logits, strict=True)
        }
        for rollout, rng in zip(self.rollouts, self._rngs, strict=True):
            asked = rollout.episode.asked
            while self._going(rollout) and rollout.episode.asked == asked:
                choices = rollout.episode.choices
                row = found[asked]
                if len(choices) < len(asked):
                    row = row[[asked.index(place) for place in choices]]
                self._decide(rollout, choices, row, rng)
        return len(subsets)

    def _going(self, rollout: Rollout) -> bool:
        return len(rollout.decisions) < self._limit and not self._settled(rollout.episode.left)

    def _decide(
        self, rollout: Rollout, choices: Subset, row: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        scaled = row / self._temperature
        logps = scaled - scaled.max()
        logps -= np.log(np.exp(logps).sum())
        drawn = int(np.searchsorted(np.cumsum(np.exp(logps)), rng.random(), "right"))
        place = min(drawn, len(choices) - 1)
        rollout.episode.play((choices[place],))
        rollout.decisions.append(choices[place])
        rollout.logps.append(float(logps[place]))
