"""What block and causal sessions share: their extent of the store, and what they read of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...prompts.segments import Kind, Segments
from ..batch import BatchBuilder, Ints
from ..kv.cache import KVCache
from ..readout import Matched, Matches, Pooling
from ..readout.request import ReadoutRequest, Subset


class ReadsStates(Protocol):
    """What a session must know of the readout: whether candidates' own states are read, and which (see `Readout`)."""

    needs_states: bool
    pooling: Pooling
    matches: Matches | None


@dataclass(frozen=True, slots=True)
class Context:
    """What text behind a prompt sees: numbers of stored segments (`BatchBuilder.segment`).

    Its first token has the RoPE position `position`; there is room for it in the slots from `slot` on.
    """

    visible: Ints
    position: int
    slot: int


class QueryStateBase(ABC):
    """Segments of one query, stored in one contiguous extent of `slots` KV slots: candidates `branches` times."""

    def __init__(
        self, segments: Segments, kind: Kind, store: KVCache, readout: ReadsStates, branches: int = 1
    ) -> None:
        self._store, self._kind, self._needs_states = store, kind, readout.needs_states
        self._pooling, self._matches = readout.pooling, readout.matches
        self._prefix = np.asarray(segments.prefix, dtype=np.int64)
        self._candidates = [np.asarray(ids, dtype=np.int64) for ids in segments.candidates]
        self._suffix = np.asarray(segments.suffix, dtype=np.int64)
        self._identifiers = np.asarray(segments.identifiers, dtype=np.int64)
        self._targets, self._prior, self._search = segments.targets, segments.prior, segments.search
        self._lengths = np.asarray([len(ids) for ids in self._candidates], dtype=np.int64)
        self._branches = branches
        self.room = 0
        """Slots that are reserved behind the candidates, for text that is written there (`generation/`)."""
        self._start: int | None = None
        self._states: Tensor | None = None  # [rows, D] fp32: see `ReadoutRequest.states`
        self._prefix_state: Tensor | None = None  # [D] fp32: see `ReadoutRequest.prefix`
        self._matched: Matched | None = None
        self._fresh_reads = self._suffix_reads = range(0)
        self._subsets: Sequence[Subset] = ()

    @property
    def parts(self) -> list[Ints]:
        """The prefix, then each candidate, in tokens."""
        return [self._prefix, *self._candidates]

    @property
    def slots(self) -> int:
        """Slots of the store that the session holds while it is open."""
        return len(self._prefix) + self._branches * int(self._lengths.sum()) + self.room

    @property
    def suffix_tokens(self) -> int:
        """Tokens that one more question costs."""
        return len(self._suffix)

    def naive_tokens(self, subset: Subset) -> int:
        """Tokens of a question's whole prompt."""
        return len(self._prefix) + int(self._lengths[list(subset)].sum()) + len(self._suffix)

    def open(self) -> bool:
        """Reserves the slots; False when the store has no run that long."""
        self._start = self._store.allocator.allocate(self.slots)
        return self._start is not None

    def close(self) -> None:
        """Gives the slots back. Nothing happens to a session that is not open."""
        if self._start is not None:
            self._store.allocator.release(self._start, self.slots)
            self._start = self._states = self._prefix_state = self._matched = None

    def _begin(self) -> int:
        """Starts a step; returns the first slot of the session's extent."""
        if self._start is None:
            raise RuntimeError("a session must be open to plan a step")
        self._fresh_reads = range(0)
        return self._start

    @abstractmethod
    def context(self, builder: BatchBuilder, query_index: int, subset: Subset) -> Context:
        """Adds to a step what text behind a prompt about `subset` needs and is not stored yet, and no question."""
        ...

    @abstractmethod
    def _commit(self, fresh: Tensor | None) -> None:
        """Keeps what the planned step has stored: called once the pass is through, so a failed one can be repeated.

        `fresh`: [rows, D] fp32, the states that the step was asked for by `_read_states`, if any.
        """
        ...

    def _read_states(self, builder: BatchBuilder, rows: Ints) -> None:
        """Asks for the states of `rows`, where the readout needs them."""
        if self._needs_states and len(rows):
            self._fresh_reads = builder.reads(rows)

    @torch.inference_mode()
    def commit(self, hidden: Tensor) -> None:
        """Once a step is through: keeps what it stored, and of its hidden states [T, D] what it was asked for."""
        reads = self._fresh_reads
        self._commit(hidden[reads.start : reads.stop].float() if reads else None)

    def readout_request(self, hidden: Tensor) -> ReadoutRequest:
        """What is to be read from this step's hidden states [T, D], and on whose behalf."""
        self.commit(hidden)
        return self.answer(self._subsets, self._suffix_reads)

    def answer(self, subsets: Sequence[Subset], suffixes: range) -> ReadoutRequest:
        """Reads the verdicts about `subsets` where a step's output has the states `suffixes`."""
        return ReadoutRequest(
            self._kind,
            subsets,
            suffixes,
            self._identifiers,
            self._states,
            self._targets,
            self._prefix_state,
            self._matched,
            self._prior,
        )
