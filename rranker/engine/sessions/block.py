"""Block attention: every candidate is encoded once, over the prefix alone, and dropped by no longer being seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..batch import BatchBuilder, Segment
from ..readout.gather import Subset
from .base import QueryStateBase


class BlockQueryState(QueryStateBase):
    """Candidates all start at position p; the suffix stands at p + the longest of them, in every round.

    See `QueryState`. Any subset of the candidates may be asked about, any number of them at once.
    """

    _encoded = False

    def plan(self, builder: BatchBuilder, query_index: int, subsets: Sequence[Subset]) -> None:
        """Adds a step to `builder`: the prefix and candidates the first time, then one suffix a question."""
        start, position = self._begin(), len(self._prefix)
        prefix = builder.segment(Segment(start, position, 0))
        places = builder.segments(start + position, self._lengths, position)
        if not self._encoded:
            self._encode(builder, query_index, start, prefix)
        after = np.full(len(subsets), position + int(self._lengths.max()), dtype=np.int64)
        always = np.asarray([prefix], dtype=np.int64)
        # Seen by nobody, so the keys and values of suffix copies stay out of the store.
        first = builder.questions(self._suffix, after, always, places, subsets, query_index)
        self._suffix_reads, self._subsets = range(first, first + len(subsets)), subsets

    def _encode(self, builder: BatchBuilder, query_index: int, start: int, prefix: int) -> None:
        position, nothing = len(self._prefix), np.zeros(0, dtype=np.int64)
        builder.chunk(self._prefix, 0, nothing, query_index, start)
        sees, slot = np.asarray([prefix], dtype=np.int64), start + position
        lasts = []
        for tokens in self._candidates:
            lasts.append(builder.chunk(tokens, position, sees, query_index, slot) + len(tokens) - 1)
            slot += len(tokens)
        self._read_states(builder, lasts)

    def _commit(self, fresh: Tensor | None) -> None:
        self._encoded = True
        if fresh is not None:
            self._states = fresh
