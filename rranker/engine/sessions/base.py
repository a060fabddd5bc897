"""What block and causal sessions share: their extent of the store, suffix copies, and what they read of a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...prompts.segments import Kind, Segments
from ..plan import Ints, PlanBuilder
from ..reading import Ask, Reading
from ..readout import Readout
from ..store import KVStore


class SessionBase:
    """Segments of one query, stored in one contiguous extent of `slots` KV slots."""

    def __init__(self, segments: Segments, kind: Kind, store: KVStore, readout: Readout) -> None:
        self._store, self._kind, self._needs_states = store, kind, readout.needs_states
        self._prefix = np.asarray(segments.prefix, dtype=np.int64)
        self._candidates = [np.asarray(ids, dtype=np.int64) for ids in segments.candidates]
        self._suffix = np.asarray(segments.suffix, dtype=np.int64)
        self._labels = np.asarray(segments.labels, dtype=np.int64)
        self._lengths = np.asarray([len(ids) for ids in self._candidates], dtype=np.int64)
        self._start: int | None = None
        self._states: Tensor | None = None  # [n, D] fp32, of the candidates encoded so far
        self._fresh: list[int] = []  # candidates whose states the step reads, one after the other
        self._fresh_reads = self._suffix_reads = range(0)
        self._asks: Sequence[Ask] = ()

    @property
    def slots(self) -> int:
        """Slots of the store that the session holds while it is open."""
        return len(self._prefix) + int(self._lengths.sum())

    @property
    def suffix_tokens(self) -> int:
        """Tokens that one more question costs."""
        return len(self._suffix)

    def naive_tokens(self, ask: Ask) -> int:
        """Tokens of a question's whole prompt."""
        return len(self._prefix) + int(self._lengths[list(ask)].sum()) + len(self._suffix)

    def open(self) -> bool:
        """Reserves the slots; False when the store has no run that long."""
        self._start = self._store.extents.allocate(self.slots)
        return self._start is not None

    def close(self) -> None:
        """Gives the slots back. Nothing happens to a session that is not open."""
        if self._start is not None:
            self._store.extents.release(self._start, self.slots)
            self._start = self._states = None

    def _begin(self, asks: Sequence[Ask]) -> int:
        """Starts a step; returns the first slot of the session's extent."""
        if self._start is None:
            raise RuntimeError("a session must be open to plan a step")
        self._asks = asks
        self._fresh = []
        return self._start

    def _commit(self) -> None:
        """Keeps what the planned step has stored: called once the pass is through, so a failed one can be repeated."""
        raise NotImplementedError

    def _ask(self, builder: PlanBuilder, positions: Ints, prefix: int, places: Ints, owner: int) -> None:
        """A suffix copy per ask: seen by nobody, so their keys and values stay out of the store."""
        always = np.asarray([prefix], dtype=np.int64)
        first = builder.ask(self._suffix, positions, always, places, self._asks, owner)
        self._suffix_reads = range(first, first + len(self._asks))

    def _read_states(self, builder: PlanBuilder, candidates: Sequence[int], rows: Sequence[int]) -> None:
        """Asks for the states of `candidates`, whose last tokens are at `rows`, where the readout needs them."""
        if self._needs_states and candidates:
            places = [builder.read(row) for row in rows]
            self._fresh, self._fresh_reads = list(candidates), range(places[0], places[-1] + 1)

    @torch.inference_mode()
    def reading(self, hidden: Tensor) -> Reading:
        """What is to be read from this step's hidden states [T, D], and on whose behalf."""
        self._commit()
        if self._fresh:
            fresh = hidden[self._fresh_reads.start : self._fresh_reads.stop].float()
            if len(self._fresh) == len(self._candidates) and self._fresh == sorted(self._fresh):
                self._states = fresh  # all of them, in order: nothing to scatter, no indices to send
            else:
                if self._states is None:
                    self._states = fresh.new_zeros(len(self._candidates), fresh.shape[1])
                self._states[self._fresh] = fresh
        return Reading(self._kind, self._asks, self._suffix_reads, self._labels, self._states)
