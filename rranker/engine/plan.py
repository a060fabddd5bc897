"""One step's work for the model, as flat CSR arrays: no query, candidate or mask in sight."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of `length` KV slots that starts at `start`; its first token has RoPE position `position`."""

    start: int
    length: int
    position: int


@dataclass(frozen=True, slots=True)
class Plan:
    """T query rows in C chunks over S stored segments.

    A chunk is a run of rows that sees itself causally and, fully, every token of its visible segments.
    Keys and values of a row are written to the store (before anything is read) when its slot is not -1.

    token_ids, positions, write_slots: [T]; row_offsets: [C + 1]; owners: [C], chunks of one query share one;
    visible: segment indices, those of chunk c at `visible_offsets[c]:visible_offsets[c + 1]`;
    segment_starts, segment_lengths, segment_positions: [S]; read_rows: rows whose hidden states are wanted.
    """

    token_ids: Ints
    positions: Ints
    write_slots: Ints
    row_offsets: Ints
    owners: Ints
    visible: Ints
    visible_offsets: Ints
    segment_starts: Ints
    segment_lengths: Ints
    segment_positions: Ints
    read_rows: Ints

    def __post_init__(self) -> None:
        rows, chunks = len(self.token_ids), len(self.row_offsets) - 1
        if not (len(self.positions) == len(self.write_slots) == rows == self.row_offsets[-1]):
            raise ValueError("a plan's row arrays and row offsets disagree")
        if len(self.owners) != chunks or len(self.visible_offsets) != chunks + 1:
            raise ValueError("a plan's chunk arrays disagree")

    @property
    def rows(self) -> int:
        return len(self.token_ids)

    @property
    def chunks(self) -> int:
        return len(self.row_offsets) - 1


@dataclass(slots=True)
class PlanBuilder:
    """Collects chunks from many queries into one `Plan`."""

    rows: int = 0
    _tokens: list[Ints] = field(default_factory=list)
    _positions: list[int] = field(default_factory=list)
    _slots: list[Ints | None] = field(default_factory=list)
    _lengths: list[int] = field(default_factory=list)
    _owners: list[int] = field(default_factory=list)
    _visible: list[Ints] = field(default_factory=list)
    _visible_counts: list[int] = field(default_factory=list)
    _segments: dict[Segment, int] = field(default_factory=dict)
    _read: list[int] = field(default_factory=list)

    def segment(self, segment: Segment) -> int:
        """The number of a stored segment in this plan, for `visible`; the same one each time it is asked for."""
        return self._segments.setdefault(segment, len(self._segments))

    def chunk(self, tokens: Ints, position: int, visible: Ints, owner: int, slots: Ints | None = None) -> int:
        """Adds a chunk whose first token stands at `position`; returns its first row.

        `visible` holds numbers from `segment`. `slots` (as long as `tokens`) says where its keys and values go;
        None keeps them out of the store.
        """
        first = self.rows
        self._tokens.append(tokens)
        self._positions.append(position)
        self._slots.append(slots)
        self._lengths.append(len(tokens))
        self._owners.append(owner)
        self._visible.append(visible)
        self._visible_counts.append(len(visible))
        self.rows += len(tokens)
        return first

    def read(self, row: int) -> int:
        """Asks for a row's final hidden state; returns its place in the step's output."""
        self._read.append(row)
        return len(self._read) - 1

    def build(self) -> Plan:
        row_offsets = _offsets(self._lengths)
        lengths = np.asarray(self._lengths, dtype=np.int64)
        slots = [
            np.full(length, -1, dtype=np.int64) if run is None else run
            for run, length in zip(self._slots, self._lengths, strict=True)
        ]
        first_positions = np.asarray(self._positions, dtype=np.int64)
        return Plan(
            token_ids=_joined(self._tokens),
            positions=np.arange(self.rows) + np.repeat(first_positions - row_offsets[:-1], lengths),
            write_slots=_joined(slots),
            row_offsets=row_offsets,
            owners=np.asarray(self._owners, dtype=np.int64),
            visible=_joined(self._visible),
            visible_offsets=_offsets(self._visible_counts),
            segment_starts=np.asarray([s.start for s in self._segments], dtype=np.int64),
            segment_lengths=np.asarray([s.length for s in self._segments], dtype=np.int64),
            segment_positions=np.asarray([s.position for s in self._segments], dtype=np.int64),
            read_rows=np.asarray(self._read, dtype=np.int64),
        )


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _offsets(lengths: list[int]) -> Ints:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
