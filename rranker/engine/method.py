"""What the engine needs to know of a ranking method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..prompts.segments import Kind
from .readout.request import Logits, Subset


class Method(Protocol):
    """A ranking method's state for one query: what to ask next, and what a verdict does."""

    @property
    def kind(self) -> Kind:
        """The question it asks."""
        ...

    @property
    def remaining(self) -> int:
        """Rounds still to play, at most; 0 when all is decided."""
        ...

    def subsets(self, depth: int) -> list[Subset]:
        """The next question, then up to `depth - 1` guesses at later ones."""
        ...

    def observe(self, subsets: Sequence[Subset], logits: Sequence[Logits]) -> int:
        """Takes the verdicts about `subsets`; returns how many counted: those before the first wrong guess."""
        ...
