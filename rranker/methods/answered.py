"""The player for verdicts in words: somebody names a candidate, or gives an order, and no logits are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .outcome import Subset, probabilities
from .player import Player


class Answered(Player):
    """One query's play by the answers of somebody who names candidates, or says how probable each is to be named.

    An answer in words is certain, as far as anybody can see: whoever was named had probability 1 (in an order: each
    before all that follow).
    """

    @property
    def asked(self) -> Subset:
        """Whom the next question shows."""
        return self._episode.asked

    @property
    def leaving(self) -> int:
        """How many the next answer decides."""
        return self._episode.leaving

    @property
    def wants_order(self) -> bool:
        """Whether one answer decides everything, so that an order of all is asked for and not one name."""
        return self._episode.one_question

    def observe(self, named: Sequence[int]) -> None:
        """The answer: places of `asked`, the first named first; only as many as the rules take count.

        Raises ValueError when somebody was named who could not be, or nobody.
        """
        asked, choices = self._episode.asked, set(self._episode.choices)
        taken = tuple(named[: self._episode.leaving])
        if not taken or not choices.issuperset(taken):
            raise ValueError(f"an answer must name some of {sorted(choices)}, not {list(named)}")
        chances = dict.fromkeys(asked, 0.0)
        chances[taken[0]] = 1.0
        self._decide(asked, taken, tuple(chances.values()))

    def observe_logits(self, logits: NDArray[np.float64]) -> None:
        """The answer as logits over `asked`: the most probable are named, as `Greedy` takes them."""
        asked = self._episode.asked
        self._latest[list(asked)] = logits
        named = self._first(self._episode.choices, self._episode.leaving)
        self._decide(asked, named, probabilities(logits))
