"""Block attention: every candidate is encoded once, over the prefix alone, and dropped by no longer being seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..plan import PlanBuilder, Segment
from .base import SessionBase
from .protocol import Ask


class BlockSession(SessionBase):
    """Candidates all start at position p; the suffix stands at p + the longest of them, in every round.

    See `Session`. Any subset of the candidates may be asked about, any number of them at once.
    """

    _encoded = False

    def plan(self, builder: PlanBuilder, owner: int, asks: Sequence[Ask]) -> None:
        start, position = self._begin(asks), len(self._prefix)
        prefix = builder.segment(Segment(start, position, 0))
        firsts = start + position + np.cumsum(self._lengths) - self._lengths
        places = [
            builder.segment(Segment(first, length, position))
            for first, length in zip(firsts.tolist(), self._lengths.tolist(), strict=True)
        ]
        if not self._encoded:
            self._encode(builder, owner, start, prefix, firsts.tolist())
        after = position + int(self._lengths.max())
        numbers = np.asarray([prefix, *places], dtype=np.int64)
        for ask in asks:
            visible = numbers[[0, *(place + 1 for place in ask)]]
            self._ask(builder, after, visible, owner)

    def _encode(self, builder: PlanBuilder, owner: int, start: int, prefix: int, firsts: list[int]) -> None:
        position, nothing = len(self._prefix), np.zeros(0, dtype=np.int64)
        builder.chunk(self._prefix, 0, nothing, owner, np.arange(start, start + position))
        sees = np.asarray([prefix], dtype=np.int64)
        for place, (first, tokens) in enumerate(zip(firsts, self._candidates, strict=True)):
            row = builder.chunk(tokens, position, sees, owner, np.arange(first, first + len(tokens)))
            self._read_state(builder, place, row + len(tokens) - 1)
        self._encoded = True
