"""A session: one query's segments in the KV store, and the questions asked about subsets of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ..batch import BatchBuilder
from ..readout.request import ReadoutRequest, Subset


class QueryState(Protocol):
    """Lives from admission (`open`) to `close`; each step it plans its questions, then says what to read."""

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

    def plan(self, builder: BatchBuilder, query_index: int, subsets: Sequence[Subset]) -> None:
        """Adds what questions about the subsets need to the step: segments not yet encoded, and one suffix each."""
        ...

    def readout_request(self, hidden: Tensor) -> ReadoutRequest:
        """hidden [reads of the step, D] → where the questions of the last `plan` are answered, and between whom."""
        ...

    def naive_tokens(self, subset: Subset) -> int:
        """Tokens of the whole prompt about this subset, as a loop without reuse would encode it."""
        ...

    def close(self) -> None:
        """Gives its slots back."""
        ...
