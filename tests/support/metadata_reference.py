"""The plan of the attention kernel's work in plain Python; what its parts mean says `kernels/attention/work.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from rranker.engine.attention.triton_metadata import PARTS, SETS, SPLIT, TILES
from rranker.engine.batch import Batch, Ints
from rranker.kernels.attention.work import CELL, AttentionMetadata, Wave


@dataclass(frozen=True, slots=True)
class _Span:
    """Chunks `first` … `last - 1`, neighbours of one query that see the same segments.

    rows: of all of them; anchor: the first slot of what they see, -1 for nothing; split: cells of a split.
    """

    first: int
    last: int
    rows: int
    anchor: int
    split: int


@dataclass(frozen=True, slots=True)
class _Tile:
    """Rows `first` … `first + count - 1` over `splits`: the begin and end of each among all cells.

    own: keys from one block of its own to the next; cost: keys of its longest item.
    """

    first: int
    count: int
    splits: list[tuple[int, int]]
    own: int
    cost: int


def attention_metadata(batch: Batch, groups: int, kv_heads: int, tile_rows: int) -> AttentionMetadata:
    """The batch's work for `groups` query heads per KV head, packed into tiles of `tile_rows` rows; on the CPU."""
    height = tile_rows // groups
    tiles, slots, words = list[_Tile](), list[Ints](), list[Ints]()
    bits, known = np.zeros(batch.rows, dtype=np.int64), 0
    starts, ends = np.repeat(batch.row_offsets[:-1], np.diff(batch.row_offsets)), batch.own_ends
    for spans in _clusters(batch, height):
        cells, seen_by = _listed(batch, spans)
        splits = [(known + begin, known + end) for begin, end in _splits(cells, spans[0].split)]
        slots.append(spans[0].anchor + cells * CELL)
        words.append(seen_by)
        known += len(cells)
        for bit, span in enumerate(spans):
            bits[batch.row_offsets[span.first] : batch.row_offsets[span.last]] = bit
        own, last = CELL if len(spans) == 1 else spans[0].rows, int(batch.row_offsets[spans[-1].last])
        longest = max(end - begin for begin, end in splits) * CELL
        for first in range(int(batch.row_offsets[spans[0].first]), last, height):
            count = min(height, last - first)
            cost = longest + int(ends[first + count - 1] - starts[first])
            tiles.append(_Tile(first, count, splits, own, cost))
    # The longest start first, so that none is left running alone at the end.
    tiles.sort(key=lambda tile: -tile.cost)
    return _work(tiles, np.concatenate(slots), np.concatenate(words), (bits, starts, ends), PARTS // kv_heads)


def _spans(batch: Batch, height: int) -> Iterator[_Span]:
    first = 0
    for chunk in range(1, batch.chunks + 1):
        same = chunk < batch.chunks and batch.query_indices[chunk] == batch.query_indices[first]
        if same and np.array_equal(_seen(batch, chunk), _seen(batch, first)):
            continue
        rows = int(batch.row_offsets[chunk] - batch.row_offsets[first])
        anchor = int(batch.segment_starts[_seen(batch, first)].min(initial=1 << 62))
        split = SPLIT * max(1, -(-rows // height) // TILES)
        yield _Span(first, chunk, rows, -1 if anchor == 1 << 62 else anchor, split)
        first = chunk


def _clusters(batch: Batch, height: int) -> Iterator[list[_Span]]:
    """Spans that share tiles: one, or as many neighbours of one query and grid as fit a tile, chunks of one length."""
    cluster = list[_Span]()
    for span in _spans(batch, height):
        joins = (
            cluster
            and _kind(batch, cluster[0]) == _kind(batch, span)
            and span.last - span.first == cluster[0].last - cluster[0].first == 1
            and len(cluster) < SETS
            and batch.row_offsets[span.last] - batch.row_offsets[cluster[0].first] <= height
        )
        if cluster and not joins:
            yield cluster
            cluster = []
        cluster.append(span)
    yield cluster


def _kind(batch: Batch, span: _Span) -> tuple[int, ...]:
    return int(batch.query_indices[span.first]), span.rows, span.anchor, span.split


def _listed(batch: Batch, spans: list[_Span]) -> tuple[Ints, Ints]:
    """The cells that any of the spans sees a key of, counted from their anchor; and the word of each of their keys."""
    seen_by = np.zeros(len(batch.segment_starts), dtype=np.int64)
    for place, span in enumerate(spans):
        seen_by[_seen(batch, span.first)] |= 1 << place
    segments = np.flatnonzero((seen_by != 0) & (batch.segment_lengths > 0))
    begins = batch.segment_starts[segments] - spans[0].anchor
    ends = begins + batch.segment_lengths[segments]
    grid = np.zeros(-(-int(ends.max(initial=0)) // CELL) * CELL, dtype=np.int64)
    for segment, begin, end in zip(segments, begins, ends, strict=True):
        grid[begin:end] |= seen_by[segment]
    words = grid.reshape(-1, CELL)
    cells = np.flatnonzero(words.any(axis=1))
    return cells, words[cells].reshape(-1)


def _splits(cells: Ints, split: int) -> list[tuple[int, int]]:
    """Where the cells of each split begin and end among them; one empty split where there are no cells."""
    breaks = np.flatnonzero(np.diff(cells // split)) + 1
    bounds = [0, *breaks.tolist(), len(cells)]
    return list(pairwise(bounds))


def _work(
    tiles: list[_Tile], slots: Ints, words: Ints, of_rows: tuple[Ints, Ints, Ints], most: int
) -> AttentionMetadata:
    """Numbers items and parts; `most`: parts of a wave, unless one tile has more."""
    items, merges, waves = list[tuple[int, ...]](), list[tuple[int, int, int]](), list[Wave]()
    first_item = first_merge = parts = most_parts = 0
    for index, tile in enumerate(tiles):
        needed = len(tile.splits) if len(tile.splits) > 1 else 0
        if parts and parts + needed > most:
            waves.append(Wave(first_item, len(items), first_merge, len(merges)))
            first_item, first_merge, parts = len(items), len(merges), 0
        for place, (begin, end) in enumerate(tile.splits):
            part = parts + place if needed else -1
            items.append((index, begin, end, tile.own if place == 0 else 0, part))
        if needed:
            merges.append((index, parts, parts + needed))
        parts += needed
        most_parts = max(most_parts, parts)
    waves.append(Wave(first_item, len(items), first_merge, len(merges)))
    breaks = np.flatnonzero(np.diff(words)) + 1
    bounds = np.concatenate([[0], breaks, [len(words)]]) if len(words) else np.zeros(1, dtype=np.int64)
    columns = [
        [tile.first for tile in tiles],
        [tile.count for tile in tiles],
        *(list(column) for column in zip(*items, strict=True)),
        *([merge[column] for merge in merges] for column in range(3)),
    ]
    arrays = [*columns, slots, np.diff(bounds), words[bounds[:-1]], *of_rows]
    largest = max(tile.count for tile in tiles)
    tensors = [_int32(array) for array in arrays]
    return AttentionMetadata(tuple(waves), largest, most_parts, len(words), torch.cat(tensors), *tensors)


def _seen(batch: Batch, chunk: int) -> Ints:
    return batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]


def _int32(values: Ints | list[int]) -> Tensor:
    # By way of uint32: a word of 32 bits has to wrap into the sign of an int32.
    return torch.from_numpy(np.asarray(values, dtype=np.int64).astype(np.uint32).view(np.int32))
