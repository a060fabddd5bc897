"""Causal attention that keeps what it has: survivors' keys stay as they were computed when others leave."""

from __future__ import annotations

import numpy as np

from ..batch import BatchBuilder, Ints, Segment
from .block import BlockQueryState


class KeptQueryState(BlockQueryState):
    """The whole list is encoded once, causally; whoever is eliminated is no longer seen by the questions.

    Not what a fresh forward of the survivors would say: they were encoded with those before them in sight, and
    positions keep the gaps. The question stands behind the whole list in every round. See `QueryState`.
    """

    def _encode(self, builder: BatchBuilder, query_index: int, start: int, prefix: int) -> None:
        tokens = np.concatenate([self._prefix, *self._candidates])
        first = builder.chunk(tokens, 0, np.zeros(0, dtype=np.int64), query_index, start)
        self._read_states(builder, first + len(self._prefix) + np.cumsum(self._lengths) - 1)

    def _places(self, builder: BatchBuilder, slot: int) -> Ints:
        first = len(self._prefix)
        begins = np.cumsum(self._lengths) - self._lengths
        spans = zip(begins.tolist(), self._lengths.tolist(), strict=True)
        numbers = [builder.segment(Segment(slot + begin, length, first + begin)) for begin, length in spans]
        return np.asarray(numbers, dtype=np.int64)

    def _after(self, builder: BatchBuilder) -> int:
        return len(self._prefix) + int(self._lengths.sum())
