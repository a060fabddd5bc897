"""What methods share that compare a few candidates at a time: who was better than whom decides the places."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from ..prompts.segments import Kind
from .episode import Episode
from .outcome import Decision, Outcome, Subset


class Comparisons(Episode):
    """Each verdict names the best of those shown; it may be asked about again. `left`: those without a place yet.

    With `top_k` it ends when the best k have their places.
    """

    kind: ClassVar[Kind] = "select"
    names_for_good = False

    @property
    def wanted(self) -> int:
        """How many places are to be decided; the last one needs no question."""
        return self.n if self.top_k is None else min(self.top_k, self.n)

    @property
    def choices(self) -> Subset:
        """Any of those shown."""
        return self.asked

    def play(self, named: Sequence[int]) -> None:
        """The first named is the best of those shown."""
        self._compared(named[0])

    @abstractmethod
    def _compared(self, best: int) -> None:
        """Takes a verdict about those shown."""

    def _place(self, best: int) -> None:
        """Gives the next place."""
        super().play((best,))

    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        """Scores are the probability of each in the last verdict about it."""
        kept = dict[int, float]()
        for decision in decisions:
            kept.update(zip(decision.asked, decision.probabilities, strict=True))
        order = self.order()
        return Outcome(order, tuple(kept.get(place, 0.5) for place in order), tuple(decisions))

    def copy(self) -> Self:
        """See `Episode.copy`; lists and dicts are copied, too."""
        other = super().copy()
        for name, value in vars(other).items():
            if isinstance(value, list | dict):
                setattr(other, name, value.copy())
        return other
