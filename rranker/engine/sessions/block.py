"""Block attention: every candidate is encoded once, over the prefix alone, and dropped by no longer being seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..batch import BatchBuilder, Ints, Segment
from ..readout import segment_states
from ..readout.request import Subset
from .base import Context, QueryStateBase


class BlockQueryState(QueryStateBase):
    """Candidates all start at position p; the suffix stands at p + the longest of them, in every round.

    An encoder's segments all start at position 0, as every text did that it was trained on. Any subset of the
    candidates may be asked about, any number of them at once. See `QueryState`.
    """

    _encoded = False
    _counts: Tensor | None = None

    def plan(self, builder: BatchBuilder, query_index: int, subsets: Sequence[Subset]) -> None:
        """Adds a step to `builder`: the prefix and candidates the first time, then one suffix a question."""
        always, places = self._laid(builder, query_index)
        self._suffix_reads = self._ask(builder, query_index, always, places, subsets)
        self._subsets = subsets

    def context(self, builder: BatchBuilder, query_index: int, subset: Subset) -> Context:
        """See `QueryStateBase.context`: text stands where a question would."""
        always, places = self._laid(builder, query_index)
        behind = self._begin() + self.slots - self.room
        return Context(np.concatenate([always, places[list(subset)]]), self._after(builder), behind)

    def _laid(self, builder: BatchBuilder, query_index: int) -> tuple[Ints, Ints]:
        """The segments of the prefix and of the candidates, encoded the first time."""
        start = self._begin()
        prefix = builder.segment(Segment(start, len(self._prefix), 0))
        places = self._places(builder, start + len(self._prefix))
        if not self._encoded:
            self._encode(builder, query_index, start, prefix)
        return np.asarray([prefix], dtype=np.int64), places

    def _places(self, builder: BatchBuilder, slot: int) -> Ints:
        """Numbers of the candidates' segments, which lie end to end from `slot` on."""
        return builder.segments(slot, self._lengths, self._position(builder))

    def _ask(
        self, builder: BatchBuilder, query_index: int, always: Ints, places: Ints, subsets: Sequence[Subset]
    ) -> range:
        """Adds the questions; returns where in the step's output they are read."""
        after = np.full(len(subsets), self._after(builder), dtype=np.int64)
        # Seen by nobody, so the keys and values of suffix copies stay out of the store.
        first = builder.questions(self._suffix, after, always, places, subsets, query_index)
        return range(first, first + len(subsets))

    def _encode(self, builder: BatchBuilder, query_index: int, start: int, prefix: int) -> None:
        nothing = np.zeros(0, dtype=np.int64)
        first = builder.chunk(self._prefix, 0, nothing, query_index, start)
        sees, slot = np.asarray([prefix], dtype=np.int64), start + len(self._prefix)
        for tokens in self._candidates:
            builder.chunk(tokens, self._position(builder), sees, query_index, slot)
            slot += len(tokens)
        if self._needs_states:
            self._read_segments(builder, first)

    def _read_segments(self, builder: BatchBuilder, first: int) -> None:
        """Asks for what a pointer reads of the prefix and the candidates, whose rows begin at `first`."""
        counts = np.concatenate([[len(self._prefix)], self._lengths])
        ends = first + np.cumsum(counts)
        if self._pooling == "mean" or self._matches is not None:  # every token
            self._read_states(builder, np.arange(first, ends[-1]))
            self._counts = builder.carry(counts)
        else:
            self._read_states(builder, ends[1:] - 1 if self._pooling == "last" else ends - counts)

    def _position(self, builder: BatchBuilder) -> int:
        """Of every candidate's first token."""
        return 0 if builder.bidirectional else len(self._prefix)

    def _after(self, builder: BatchBuilder) -> int:
        """The position of every question's first token."""
        return 0 if builder.bidirectional else len(self._prefix) + int(self._lengths.max())

    def _commit(self, fresh: Tensor | None) -> None:
        self._encoded = True
        if fresh is not None and self._counts is not None:
            states = segment_states(fresh, self._counts, self._pooling)
            self._prefix_state, self._states = states[0], states[1:]
            if self._matches is not None:
                sizes = len(self._prefix), int(self._lengths.max())
                self._matched = self._matches(
                    fresh, self._counts, states[0], states[1:], *sizes, self._search
                )
            self._counts = None
        elif fresh is not None and self._pooling == "cls":
            self._prefix_state, self._states = fresh[0], fresh[1:]
        elif fresh is not None:
            self._states = fresh
