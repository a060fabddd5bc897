"""Causal attention: what a fresh forward of each round's prompt would say, encoding only what changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..plan import PlanBuilder, Segment
from .base import SessionBase
from .protocol import Ask


class CausalSession(SessionBase):
    """The prompt as a stack: prefix, then candidates in the order they were asked about; slot = position.

    A new ask keeps the stack up to the first difference and encodes its own tail on top. Asks of one step
    must be prefixes of the first one (a guess that drops the last candidate each time), so they share it.
    See `Session`.
    """

    _prefix_encoded = False
    _stack: Ask = ()

    def plan(self, builder: PlanBuilder, owner: int, asks: Sequence[Ask]) -> None:
        start, whole = self._begin(asks), asks[0]
        if any(ask != whole[: len(ask)] for ask in asks):
            raise ValueError("asks of one causal step must be prefixes of the first")
        kept = shared(self._stack, whole)
        ends = np.concatenate([[0], np.cumsum(self._lengths[list(whole)])]) + len(self._prefix)
        items = [Segment(start, len(self._prefix), 0)]
        for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            items.append(Segment(start + a, b - a, a))
        tail = [self._candidates[place] for place in whole[kept:]]
        known = kept + 1
        if not self._prefix_encoded:
            tail, known = [self._prefix, *tail], 0
        numbers = np.asarray([builder.segment(item) for item in items], dtype=np.int64)
        if tail:
            begin = items[known].position
            tokens = np.concatenate(tail)
            slots = np.arange(start + begin, start + begin + len(tokens))
            row = builder.chunk(tokens, begin, numbers[:known], owner, slots)
            for place in range(kept, len(whole)):
                self._read_state(builder, whole[place], row + int(ends[place + 1]) - begin - 1)
        for ask in asks:
            self._ask(builder, int(ends[len(ask)]), numbers[: len(ask) + 1], owner)
        self._stack, self._prefix_encoded = whole, True


def shared(a: Ask, b: Ask) -> int:
    """Length of the longest common prefix."""
    for place, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return place
    return min(len(a), len(b))
