"""One step's work for the model, as flat CSR arrays: no query, candidate or mask in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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

    _tokens: list[Sequence[int]] = field(default_factory=list)
    _positions: list[Any] = field(default_factory=list)
    _slots: list[Any] = field(default_factory=list)
    _lengths: list[int] = field(default_factory=list)
    _owners: list[int] = field(default_factory=list)
    _visible: list[int] = field(default_factory=list)
    _visible_counts: list[int] = field(default_factory=list)
    _segments: dict[Segment, int] = field(default_factory=dict)
    _read: list[int] = field(default_factory=list)
    rows: int = 0

    def chunk(
        self,
        tokens: Sequence[int],
        position: int,
        visible: Sequence[Segment],
        owner: int,
        slots: Sequence[int] | range | None = None,
    ) -> int:
        """Adds a chunk whose first token stands at `position`; returns its first row.

        `slots` (as long as `tokens`) says where its keys and values go; None keeps them out of the store.
        """
        first, length = self.rows, len(tokens)
        self._tokens.append(tokens)
        self._positions.append(range(position, position + length))
        self._slots.append((-1,) * length if slots is None else slots)
        self._lengths.append(length)
        self._owners.append(owner)
        table = self._segments
        self._visible.extend([table.setdefault(segment, len(table)) for segment in visible])
        self._visible_counts.append(len(visible))
        self.rows += length
        return first

    def read(self, row: int) -> int:
        """Asks for a row's final hidden state; returns its place in the step's output."""
        self._read.append(row)
        return len(self._read) - 1

    def build(self) -> Plan:
        return Plan(
            token_ids=_flat(self._tokens, self.rows),
            positions=_flat(self._positions, self.rows),
            write_slots=_flat(self._slots, self.rows),
            row_offsets=_offsets(self._lengths),
            owners=np.asarray(self._owners, dtype=np.int64),
            visible=np.asarray(self._visible, dtype=np.int64),
            visible_offsets=_offsets(self._visible_counts),
            segment_starts=np.asarray([s.start for s in self._segments], dtype=np.int64),
            segment_lengths=np.asarray([s.length for s in self._segments], dtype=np.int64),
            segment_positions=np.asarray([s.position for s in self._segments], dtype=np.int64),
            read_rows=np.asarray(self._read, dtype=np.int64),
        )


def _flat(parts: list[Any], total: int) -> Ints:
    return np.fromiter((x for part in parts for x in part), dtype=np.int64, count=total)


def _offsets(lengths: list[int]) -> Ints:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
