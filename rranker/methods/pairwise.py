"""Pairwise ranking prompting (Qin et al. 2024, arXiv 2306.17563): every two candidates are compared."""

from __future__ import annotations

from collections.abc import Sequence

from .comparisons import Comparisons
from .outcome import Decision, Outcome, Subset
from .registry import register


@register
class Pairwise(Comparisons):
    """n (n - 1) / 2 questions, none of which depends on an answer; a candidate's score is the share of wins it is owed.

    That is the sum of its probabilities to win, over n - 1. Which of two is shown first alternates. The rounds are the
    edges of the comparison graph: `alive` are the two, `selected` is who won. `top_k` saves nothing.
    """

    name = "pairwise"

    def __init__(self, n: int, *, top_k: int | None = None) -> None:
        super().__init__(n, top_k=top_k)
        self._pair = (0, 1)
        self._wins = [0] * n

    @property
    def asked(self) -> Subset:
        """The two whose turn it is."""
        a, b = self._pair
        return (a, b) if (a + b) % 2 else (b, a)

    @property
    def remaining(self) -> int:
        """Pairs that were not compared."""
        a, b = self._pair
        rows = self.n - 1 - a
        return rows * (rows + 1) // 2 - (b - a - 1)

    def order(self) -> Subset:
        """Most wins first; of equals, the earlier."""
        return tuple(sorted(range(self.n), key=lambda place: -self._wins[place]))

    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        """By expected wins."""
        owed = [0.0] * self.n
        for decision in decisions:
            for place, probability in zip(decision.asked, decision.probabilities, strict=True):
                owed[place] += probability
        order = tuple(sorted(range(self.n), key=lambda place: (-owed[place], -self._wins[place])))
        most = max(self.n - 1, 1)
        return Outcome(order, tuple(owed[place] / most for place in order), tuple(decisions))

    def _compared(self, best: int) -> None:
        self._wins[best] += 1
        a, b = self._pair
        self._pair = (a, b + 1) if b + 1 < self.n else (a + 1, a + 2)
