"""Causal attention: what a fresh forward of each round's prompt would say, encoding only what changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..plan import PlanBuilder, Segment
from ..reading import Ask
from .base import SessionBase


class CausalSession(SessionBase):
    """The prompt as a stack: prefix, then candidates in the order they were asked about; slot = position.

    A new ask keeps the stack up to the first difference and encodes its own tail on top. Asks of one step
    must be prefixes of the first one (a guess that drops the last candidate each time), so they share it.
    See `Session`.
    """

    _prefix_encoded = False
    _stack: Ask = ()
    _planned: Ask = ()

    def plan(self, builder: PlanBuilder, owner: int, asks: Sequence[Ask]) -> None:
        """Adds a step to `builder`: what differs from the stack, then one suffix a question.

        Raises ValueError when the questions are not prefixes of the first.
        """
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
            row = builder.chunk(np.concatenate(tail), begin, numbers[:known], owner, start + begin)
            lasts = (ends[kept + 1 :] + (row - begin - 1)).tolist()
            self._read_states(builder, whole[kept:], lasts)
        places = np.zeros(len(self._candidates), dtype=np.int64)
        places[list(whole)] = numbers[1:]
        self._ask(builder, ends[[len(ask) for ask in asks]], int(numbers[0]), places, owner)
        # Above `kept` the pass overwrites the stack: should it fail, only what lies below is still there.
        self._stack, self._planned = whole[:kept], whole

    def _commit(self) -> None:
        self._stack, self._prefix_encoded = self._planned, True


def shared(a: Ask, b: Ask) -> int:
    """Length of the longest common prefix."""
    for place, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return place
    return min(len(a), len(b))
