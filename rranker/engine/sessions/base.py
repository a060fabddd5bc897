"""What block and causal sessions share: their extent of the store, suffix copies, and reading logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...prompts.segments import Kind, Segments
from ..plan import Ints, PlanBuilder
from ..readout import Readout
from ..store import KVStore
from .protocol import Ask, Logits


class SessionBase:
    """Segments of one query, stored in one contiguous extent of `slots` KV slots."""

    def __init__(self, segments: Segments, kind: Kind, store: KVStore, readout: Readout) -> None:
        self._store, self._readout, self._kind = store, readout, kind
        self._prefix = np.asarray(segments.prefix, dtype=np.int64)
        self._candidates = [np.asarray(ids, dtype=np.int64) for ids in segments.candidates]
        self._suffix = np.asarray(segments.suffix, dtype=np.int64)
        self._lengths = np.asarray([len(ids) for ids in self._candidates], dtype=np.int64)
        self._start: int | None = None
        self._vectors: Tensor | None = None if readout.needs_states else readout.vectors(segments.labels)
        self._states: dict[int, int] = {}  # candidate → place of its state among the step's reads
        self._suffix_reads = range(0)
        self._asks: Sequence[Ask] = ()

    @property
    def slots(self) -> int:
        return len(self._prefix) + int(self._lengths.sum())

    @property
    def suffix_tokens(self) -> int:
        return len(self._suffix)

    def naive_tokens(self, ask: Ask) -> int:
        return len(self._prefix) + int(self._lengths[list(ask)].sum()) + len(self._suffix)

    def open(self) -> bool:
        self._start = self._store.extents.allocate(self.slots)
        return self._start is not None

    def close(self) -> None:
        if self._start is not None:
            self._store.extents.release(self._start, self.slots)
            self._start = None

    def _begin(self, asks: Sequence[Ask]) -> int:
        """Starts a step; returns the first slot of the session's extent."""
        if self._start is None:
            raise RuntimeError("a session must be open to plan a step")
        self._asks = asks
        self._states.clear()
        return self._start

    def _ask(self, builder: PlanBuilder, positions: Ints, prefix: int, places: Ints, owner: int) -> None:
        """A suffix copy per ask: seen by nobody, so their keys and values stay out of the store."""
        always = np.asarray([prefix], dtype=np.int64)
        first = builder.ask(self._suffix, positions, always, places, self._asks, owner)
        self._suffix_reads = range(first, first + len(self._asks))

    def _read_state(self, builder: PlanBuilder, candidate: int, row: int) -> None:
        if self._readout.needs_states:
            self._states[candidate] = builder.read(row)

    @torch.inference_mode()
    def collect(self, hidden: Tensor) -> list[Logits]:
        if self._states:
            places = torch.tensor(list(self._states.values()), device=hidden.device)
            fresh = hidden.index_select(0, places).float()
            if self._vectors is None:
                self._vectors = fresh.new_zeros(len(self._candidates), hidden.shape[-1])
            self._vectors[torch.tensor(list(self._states), device=hidden.device)] = fresh
        assert self._vectors is not None
        suffixes = hidden[self._suffix_reads.start : self._suffix_reads.stop]
        logits = self._readout.logits(suffixes, self._vectors, self._kind).cpu().numpy()
        return [row[list(ask)] for row, ask in zip(logits, self._asks, strict=True)]
