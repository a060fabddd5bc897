"""IRanker (arXiv 2506.21638): round after round, the model names the worst candidate of those left, and it goes."""

from __future__ import annotations

from collections.abc import Sequence

from .episode import Episode
from .outcome import Decision, Outcome, Subset
from .registry import register


@register
class Elimination(Episode):
    """Worst out. With `top_k`, a verdict excludes half of what stands above k (at least one) until k are left.

    That makes about log2(n - k) rounds in place of n - k; the places behind k are coarser for it.
    """

    name = "iranker"
    kind = "exclude"

    @property
    def remaining(self) -> int:
        """Rounds still to come."""
        rounds, alive = 0, len(self.left)
        while (leaving := self._leaving(alive)) > 1:
            alive -= leaving
            rounds += 1
        return rounds + alive - 1  # from here on one leaves at a time

    @property
    def leaving(self) -> int:
        """How many the next verdict eliminates."""
        return self._leaving(len(self.left))

    def order(self) -> Subset:
        """Best first: those left, then the eliminated from the last to the first."""
        return (*self.left, *reversed(self.named))

    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        """Scores are the probability of staying in the round that eliminated a candidate, or in the last one.

        Half where play ended before the first round: nothing is known of anybody. One alone stays.
        """
        kept = {
            place: 1.0 - decision.probabilities[decision.asked.index(place)]
            for decision in decisions
            for place in (*decision.named, *(self.left if decision is decisions[-1] else ()))
        }
        order = self.order()
        unasked = 1.0 if self.n == 1 else 0.5
        return Outcome(order, tuple(kept.get(place, unasked) for place in order), tuple(decisions))

    def _leaving(self, alive: int) -> int:
        surplus = alive - self.top_k if self.top_k is not None else 0
        return max(1, surplus // 2)
