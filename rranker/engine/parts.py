"""A large step in parts, one forward pass after the other: what a pass computes with stays small.

A chunk sees what was stored before the step or by chunks before it (`Batch`), and a part stores what it encodes; so its
rows see what they would have seen in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .batch import Batch, Ints

_SLACK = 1.5
"""A step of up to so many times the rows of a part stays whole: a small rest is not worth a pass of its own."""


def in_parts(batch: Batch, most_rows: int) -> Iterator[tuple[Batch, Ints]]:
    """Parts of at most `most_rows` rows, in their order, and the places of their states among those of the batch.

    A batch of few more rows is its own only part. A chunk that sees itself wholly, or is not stored, is never cut,
    and may alone have more. Parts are filled one after the other, so that what comes at the end of a step, a guess more
    or less, changes nothing for those before it.
    """
    if batch.rows <= _SLACK * most_rows:
        yield batch, np.arange(len(batch.read_rows))
        return
    batch = _pieces(batch, most_rows)
    begin = 0
    while begin < batch.chunks:
        full = int(batch.row_offsets[begin]) + most_rows
        end = max(begin + 1, int(np.searchsorted(batch.row_offsets, full, side="right")) - 1)
        yield _part(batch, begin, end)
        begin = end


def _pieces(batch: Batch, most_rows: int) -> Batch:
    """The batch with its long causal chunks cut: a piece sees those before it as one more stored segment."""
    begins, ends = batch.row_offsets[:-1], batch.row_offsets[1:]
    stored = (batch.write_slots[begins] >= 0) & (
        batch.write_slots[ends - 1] - batch.write_slots[begins] == ends - 1 - begins
    )
    cut = stored & (ends - begins > most_rows)
    if batch.bidirectional or batch.context_bias or not cut.any():
        return batch
    offsets, queries, visible = [0], list[int](), list[Ints]()
    segments = list[tuple[int, int, int]]()
    for chunk, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        seen = batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]
        for first in range(begin, end, most_rows if cut[chunk] else end - begin):
            before = list[int]()
            if first > begin:
                before.append(len(batch.segment_starts) + len(segments))
                segments.append((int(batch.write_slots[begin]), first - begin, int(batch.positions[begin])))
            visible.append(np.append(seen, np.asarray(before, dtype=np.int64)))
            offsets.append(min(first + most_rows, end) if cut[chunk] else end)
            queries.append(int(batch.query_indices[chunk]))
    starts, lengths, positions = np.asarray(segments, dtype=np.int64).T
    return replace(
        batch,
        row_offsets=np.asarray(offsets),
        query_indices=np.asarray(queries),
        visible=np.concatenate(visible),
        visible_offsets=np.concatenate([[0], np.cumsum([len(seen) for seen in visible])]),
        segment_starts=np.append(batch.segment_starts, starts),
        segment_lengths=np.append(batch.segment_lengths, lengths),
        segment_positions=np.append(batch.segment_positions, positions),
    )


def _part(batch: Batch, begin: int, end: int) -> tuple[Batch, Ints]:
    """The chunks from `begin` to before `end`, and the segments that they see: others may not be stored yet."""
    first, last = int(batch.row_offsets[begin]), int(batch.row_offsets[end])
    seen, seen_end = int(batch.visible_offsets[begin]), int(batch.visible_offsets[end])
    segments, visible = np.unique(batch.visible[seen:seen_end], return_inverse=True)
    places = np.flatnonzero((batch.read_rows >= first) & (batch.read_rows < last))
    part = replace(
        batch,
        token_ids=batch.token_ids[first:last],
        positions=batch.positions[first:last],
        write_slots=batch.write_slots[first:last],
        row_offsets=batch.row_offsets[begin : end + 1] - first,
        query_indices=batch.query_indices[begin:end],
        visible=visible,
        visible_offsets=batch.visible_offsets[begin : end + 1] - seen,
        segment_starts=batch.segment_starts[segments],
        segment_lengths=batch.segment_lengths[segments],
        segment_positions=batch.segment_positions[segments],
        read_rows=batch.read_rows[places] - first,
    )
    return part, places
