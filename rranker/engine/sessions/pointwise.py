"""Questions about one candidate alone: each sees the prefix and that candidate, which are encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...prompts.segments import Kind, Segments
from ..batch import BatchBuilder, Ints
from ..kv.cache import KVCache
from ..readout.request import Subset
from .base import ReadsStates
from .block import BlockQueryState


class PointwiseQueryState(BlockQueryState):
    """As a fresh causal forward of prefix, candidate and question would say, for each candidate of a subset.

    Nobody stands between prefix and candidate, so causal and block attention are the same here. The question stands
    right behind its candidate. Where targets are asked for, their tokens follow it; the last one need not be encoded,
    as nothing is read behind it. See `QueryState`.
    """

    def __init__(self, segments: Segments, kind: Kind, store: KVCache, readout: ReadsStates) -> None:
        super().__init__(segments, kind, store, readout)
        self._reads = 1
        if kind == "likelihood":
            self._reads = len(self._targets)
            encoded = np.asarray(self._targets[:-1], dtype=np.int64)
            self._suffix = np.concatenate([self._suffix, encoded])

    @property
    def suffix_tokens(self) -> int:
        """Tokens of a question about all candidates."""
        return len(self._suffix) * len(self._candidates)

    def naive_tokens(self, subset: Subset) -> int:
        """Tokens of the prompts of each candidate of a subset."""
        around = len(self._prefix) + len(self._suffix)
        return len(subset) * around + int(self._lengths[list(subset)].sum())

    def _ask(
        self, builder: BatchBuilder, query_index: int, always: Ints, places: Ints, subsets: Sequence[Subset]
    ) -> range:
        alone = [place for subset in subsets for place in subset]
        after = np.zeros(len(alone), dtype=np.int64)
        if not builder.bidirectional:
            after += len(self._prefix) + self._lengths[alone]
        singles = [(place,) for place in alone]
        first = builder.questions(self._suffix, after, always, places, singles, query_index, self._reads)
        return range(first, first + len(alone) * self._reads)
