"""Selection: round after round, the model names the best candidate of those left, and it takes the next place."""

from __future__ import annotations

from collections.abc import Sequence

from .episode import Episode
from .outcome import Decision, Outcome, Subset, preferences
from .registry import register


@register
class Selection(Episode):
    """Best out. With `top_k` it stops after k rounds; those left follow in the order of the last verdict."""

    name = "selection"
    kind = "select"

    @property
    def remaining(self) -> int:
        """Rounds still to come: `top_k` in all, or until one is left."""
        wanted = self.n - 1 if self.top_k is None else min(self.top_k, self.n - 1)
        return max(wanted - len(self.named), 0)

    def order(self) -> Subset:
        """Best first: the selected in turn, then those left."""
        return (*self.named, *self.left)

    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        """See `select_outcome`."""
        return select_outcome(self.n, decisions)


def select_outcome(n: int, decisions: Sequence[Decision]) -> Outcome:
    """Those named take the first places; the last verdict orders the rest, as a Plackett-Luce model."""
    if not decisions:
        return Outcome(tuple(range(n)), (1.0,) * n, ())
    order, kept = list[int](), list[float]()
    for decision in decisions:
        at = dict(zip(decision.asked, decision.probabilities, strict=True))
        for place in decision.named:
            del at[place]
        rest = sorted(at, key=lambda place: -at[place])
        sure = preferences(decision, [*decision.named, *rest])
        order += decision.named
        kept += sure[: len(decision.named)]
        if decision is decisions[-1]:
            order += rest
            kept += sure[len(decision.named) :]
    return Outcome(tuple(order), tuple(kept), tuple(decisions))
