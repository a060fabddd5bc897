"""DRanker (arXiv 2506.21638): the whole ranking in one shot, a Plackett-Luce model of one question's logits."""

from __future__ import annotations

from collections.abc import Sequence

from .episode import Episode
from .outcome import Decision, Outcome, Subset
from .registry import register
from .selection import select_outcome


@register
class Listwise(Episode):
    """Everybody is asked about once. Under Plackett-Luce the most probable ranking sorts by logit (Luce 1959)."""

    name = "dranker"
    kind = "select"
    one_question = True

    @property
    def asked(self) -> Subset:
        return tuple(range(self.n))

    @property
    def remaining(self) -> int:
        return 1 if len(self.left) > 1 else 0

    @property
    def leaving(self) -> int:
        return len(self.left)

    def order(self) -> Subset:
        return (*self.named, *self.left)

    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        return select_outcome(self.n, decisions)
