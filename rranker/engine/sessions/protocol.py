"""A session: one query's segments in the KV store, and the questions asked about subsets of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..plan import PlanBuilder

Ask = tuple[int, ...]
"""Candidates a question is about, in prompt order: places in the session's segments."""

Logits = NDArray[np.float32]


class Session(Protocol):
    """Lives from admission (`open`) to `close`; each step it plans its asks, then collects their logits."""

    @property
    def slots(self) -> int:
        """KV slots it holds while open."""
        ...

    @property
    def suffix_tokens(self) -> int:
        """What one more question costs, in tokens."""
        ...

    def open(self) -> bool:
        """Takes its slots; False when the store has no room for them now."""
        ...

    def plan(self, builder: PlanBuilder, owner: int, asks: Sequence[Ask]) -> None:
        """Adds what the asks need to the step: segments not yet encoded, and one suffix each."""
        ...

    def collect(self, hidden: Tensor) -> list[Logits]:
        """hidden [reads of the step, D] → for each ask of the last `plan`, the logits over its candidates."""
        ...

    def naive_tokens(self, ask: Ask) -> int:
        """Tokens of the whole prompt for this ask, as a loop without reuse would encode it."""
        ...

    def close(self) -> None:
        """Gives its slots back."""
        ...
