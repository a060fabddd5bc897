"""DRanker (arXiv 2506.21638): the whole ranking in one shot, a Plackett-Luce model of one question's logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..prompts.segments import Kind
from .episode import Episode
from .outcome import Decision, Outcome, Subset
from .registry import register
from .selection import select_outcome


@register
class Listwise(Episode):
    """Everybody is asked about once. Under Plackett-Luce the most probable ranking sorts by logit (Luce 1959)."""

    name = "dranker"
    kind: ClassVar[Kind] = "select"
    one_question = True

    @property
    def asked(self) -> Subset:
        """All candidates: there is one question."""
        return tuple(range(self.n))

    @property
    def remaining(self) -> int:
        """1 until the question is answered."""
        return 1 if len(self.left) > 1 else 0

    @property
    def leaving(self) -> int:
        """All of those left: one answer orders them."""
        return len(self.left)

    def order(self) -> Subset:
        """Best first, as the answer named them."""
        return (*self.named, *self.left)

    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        """The order and scores that the one answer's logits give."""
        return select_outcome(self.n, decisions)
