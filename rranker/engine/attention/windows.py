"""A sliding window as work: which chunks it cuts, and what is left to see for blocks of their rows.

A row at position p sees a key at k when |p - k| < window (in causal attention no key stands behind its row).
Positions decide, never slots: in block attention all candidates of a query start at the same position. Earlier rows of
a chunk see further back than later ones, so a block keeps, of each stored segment, the suffix that its first row still
sees, and a mask for the ragged edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..batch import Batch, Ints

# Rows of a block: a block's mask has at most so many times (window + rows) entries for each segment that starts at
# the same position, whatever else is in the step.
ROWS = 128
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `first` … `last - 1` of the step, all of one query, and the keys that any of them sees.

    The keys are the stored `slots`, then those of the step's own rows `own` … `own_last - 1`.
    visible: [last - first, len(slots) + own_last - own]; every row sees at least itself.
    """

    first: int
    last: int
    own: int
    own_last: int
    slots: Ints
    visible: Bools


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows `first` … `last - 1` of one chunk."""

    chunk: int
    first: int
    last: int


def cut_chunks(batch: Batch, window: int) -> Bools:
    """[C]: whether the window hides from a row of the chunk anything that it would see without one."""
    firsts, lasts = batch.positions[batch.row_offsets[:-1]], batch.positions[batch.row_offsets[1:] - 1]
    lowest, highest = firsts.copy(), (lasts if batch.bidirectional else firsts).copy()
    chunk = np.repeat(np.arange(batch.chunks), np.diff(batch.visible_offsets))
    filled = batch.segment_lengths[batch.visible] > 0
    seen = batch.visible[filled]
    np.minimum.at(lowest, chunk[filled], batch.segment_positions[seen])
    np.maximum.at(highest, chunk[filled], batch.segment_positions[seen] + batch.segment_lengths[seen] - 1)
    cut: Bools = np.maximum(lasts - lowest, highest - firsts) >= window
    return cut


def some_chunks(batch: Batch, chunks: Ints) -> tuple[Batch, Ints]:
    """The plan of those chunks alone, with the numbers of its rows in `batch`. It reads nothing, and writes nothing."""
    rows = _ranges(batch.row_offsets[chunks], batch.row_offsets[chunks + 1])
    seen = _ranges(batch.visible_offsets[chunks], batch.visible_offsets[chunks + 1])
    part = replace(
        batch,
        token_ids=batch.token_ids[rows],
        positions=batch.positions[rows],
        write_slots=np.full(len(rows), -1),
        row_offsets=_offsets(np.diff(batch.row_offsets)[chunks]),
        query_indices=batch.query_indices[chunks],
        visible=batch.visible[seen],
        visible_offsets=_offsets(np.diff(batch.visible_offsets)[chunks]),
        read_rows=np.zeros(0, dtype=np.int64),
    )
    return part, rows


def blocks(batch: Batch, window: int, chunks: Ints) -> Iterator[Block]:
    """The rows of `chunks` once each, in blocks that depend on nothing but their query's chunks."""
    group = list[_Piece]()
    for chunk in chunks.tolist():
        begin, end = int(batch.row_offsets[chunk]), int(batch.row_offsets[chunk + 1])
        for first in range(begin, end, ROWS):
            piece = _Piece(chunk, first, min(first + ROWS, end))
            joins = (
                group
                and group[-1].last == piece.first
                and batch.query_indices[group[-1].chunk] == batch.query_indices[chunk]
                and piece.last - group[0].first <= ROWS
            )
            if group and not joins:
                yield _block(batch, window, group)
                group = []
            group.append(piece)
    if group:
        yield _block(batch, window, group)


def _block(batch: Batch, window: int, pieces: Sequence[_Piece]) -> Block:
    first, last = pieces[0].first, pieces[-1].last
    counts = [piece.last - piece.first for piece in pieces]
    positions = batch.positions[first:last]
    segments, sees = _segments(batch, pieces)
    # What the block's earliest row no longer sees is cut off each segment.
    starts, ends = batch.segment_positions[segments], batch.segment_lengths[segments]
    hidden = np.clip(int(positions.min()) - window + 1 - starts, 0, ends)
    segment = np.repeat(np.arange(len(segments)), ends - hidden)
    token = _ranges(hidden, ends)
    visible = np.repeat(sees, counts, axis=0)[:, segment]
    visible &= np.abs(positions[:, None] - (starts[segment] + token)[None, :]) < window
    seen = visible.any(axis=0)
    # Rows of a chunk stand at consecutive positions: in its own chunk a row sees rows less than `window` away.
    chunk_first, ends = int(batch.row_offsets[pieces[0].chunk]), batch.own_ends[first:last]
    own, own_last = max(chunk_first, first - window + 1), min(int(ends[-1]), last + window - 1)
    begins = np.repeat([batch.row_offsets[piece.chunk] for piece in pieces], counts)
    rows, keys = np.arange(first, last)[:, None], np.arange(own, own_last)[None, :]
    self_visible = (keys < ends[:, None]) & (np.abs(keys - rows) < window) & (keys >= begins[:, None])
    slots = (batch.segment_starts[segments][segment] + token)[seen]
    return Block(first, last, own, own_last, slots, np.concatenate([visible[:, seen], self_visible], axis=1))


def _segments(batch: Batch, pieces: Sequence[_Piece]) -> tuple[Ints, Bools]:
    """The segments that any piece sees, in the order of their slots; bool [pieces, segments], which sees which."""
    lists = [
        batch.visible[batch.visible_offsets[p.chunk] : batch.visible_offsets[p.chunk + 1]] for p in pieces
    ]
    segments = np.unique(np.concatenate(lists))
    segments = segments[np.argsort(batch.segment_starts[segments], kind="stable")]
    return segments, np.stack([np.isin(segments, seen) for seen in lists])


def _ranges(begins: Ints, ends: Ints) -> Ints:
    """begins[0] … ends[0] - 1, then begins[1] … ends[1] - 1, and so on."""
    lengths = ends - begins
    ranges: Ints = np.arange(lengths.sum()) + np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
    return ranges


def _offsets(lengths: Ints) -> Ints:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
