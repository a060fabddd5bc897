"""From a batch to the Triton kernels' work: which rows go to which kernel, in which tiles, over which keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rranker.kernels.attention.work import DecodeWork, PrefillWork

from ..batch import Batch, Ints
from ..errors import SettingError

# Keys per split of decode, for a query of up to _TILES tiles; a query of more fills a GPU with longer splits. Nothing
# here looks at other queries, so that a query's result does not depend on those beside it.
SPLIT, _TILES = 512, 8
# Chunks that can share a tile: one bit each.
_CHUNKS = 32


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """Together the two cover every row of the batch once; None where a kernel has nothing to do."""

    prefill: PrefillWork | None
    decode: DecodeWork | None


@dataclass(frozen=True, slots=True)
class _Span:
    """Chunks `first` … `last - 1`, neighbours of one query that see the same stored keys."""

    first: int
    last: int


def attention_metadata(
    batch: Batch, groups: int, prefill_rows: int, decode_rows: int, on: torch.device
) -> AttentionMetadata:
    """The batch's work for `groups` query heads per KV head, packed into the rows of each kernel's tiles.

    Many rows over few keys go to prefill, few rows over many keys to decode, which splits the keys; so do chunks too
    small to fill a tile, which share one there. Raises ValueError when one row's grouped heads do not fit a tile.
    """
    if groups > prefill_rows:
        raise SettingError(
            f"{groups} query heads share a KV head, and the Triton kernels pack at most {prefill_rows}: "
            "use attention_backend='reference'"
        )
    prefill, decode = list[_Span](), list[_Span]()
    for span in _spans(batch):
        rows = int(batch.row_offsets[span.last] - batch.row_offsets[span.first]) * groups
        keys = int(batch.segment_lengths[_seen(batch, span.first)].sum())
        many = rows >= decode_rows and (keys <= SPLIT or rows >= keys)
        (prefill if many or groups > decode_rows else decode).append(span)
    own = np.repeat(batch.row_offsets[:-1], np.diff(batch.row_offsets)), batch.own_ends
    return AttentionMetadata(
        _prefill(batch, prefill, prefill_rows // groups, own, on) if prefill else None,
        _decode(batch, decode, decode_rows // groups, own, on) if decode else None,
    )


def _spans(batch: Batch) -> Iterator[_Span]:
    first, before = 0, None
    for chunk in range(batch.chunks):
        key = (int(batch.query_indices[chunk]), _seen(batch, chunk).tobytes())
        if before is not None and key != before:
            yield _Span(first, chunk)
            first = chunk
        before = key
    if before is not None:
        yield _Span(first, batch.chunks)


def _prefill(
    batch: Batch, spans: list[_Span], tile: int, own: tuple[Ints, Ints], on: torch.device
) -> PrefillWork:
    """own: of every row, where its chunk starts, and where what it sees of it ends."""
    rows, counts, begins, ends = list[Ints](), list[Ints](), list[Ints](), list[Ints]()
    starts, lengths, costs = list[Ints](), list[Ints](), list[Ints]()
    known = 0
    for span in spans:
        run_starts, run_lengths = _runs(batch, span.first)
        first, last = batch.row_offsets[span.first], batch.row_offsets[span.last]
        tiles = np.arange(first, last, tile)
        rows.append(tiles)
        counts.append(np.minimum(last - tiles, tile))
        begins.append(np.full(len(tiles), known))
        known += len(run_starts)
        ends.append(np.full(len(tiles), known))
        starts.append(run_starts)
        lengths.append(run_lengths)
        costs.append(run_lengths.sum() + own[1][tiles + counts[-1] - 1] - own[0][tiles])
    # The longest tiles start first, so that none is left running alone at the end.
    order = np.argsort(-np.concatenate(costs), kind="stable")
    ordered = [np.concatenate(part)[order] for part in (rows, counts, begins, ends)]
    arrays = [*ordered, np.concatenate(starts), np.concatenate(lengths), *own]
    return PrefillWork(int(ordered[1].max()), *(_int32(array, on) for array in arrays))


def _decode(
    batch: Batch, spans: list[_Span], tile: int, own: tuple[Ints, Ints], on: torch.device
) -> DecodeWork:
    """Each cluster lists its keys once; its tiles share the list, and each tile is split over it."""
    rows, counts, splits = list[int](), list[int](), list[int]()
    item_tiles, key_begins, key_ends = list[Ints](), list[Ints](), list[Ints]()
    slots, seen_by = list[Ints](), list[Ints]()
    bits, known = np.zeros(batch.rows, dtype=np.int64), 0
    clusters = list(_clusters(batch, spans, tile))
    tiles = Counter[int]()
    for chunks in clusters:
        tiles[int(batch.query_indices[chunks[0]])] += -(-_rows(batch, chunks) // tile)
    for chunks in clusters:
        split = SPLIT * max(1, tiles[int(batch.query_indices[chunks[0]])] // _TILES)
        listed, words = _listed(batch, chunks)
        slots.append(listed)
        seen_by.append(words)
        begins = np.arange(known, known + max(len(listed), 1), split)
        for place, chunk in enumerate(chunks):
            bits[batch.row_offsets[chunk] : batch.row_offsets[chunk + 1]] = place
        last = int(batch.row_offsets[chunks[-1] + 1])
        for first in range(int(batch.row_offsets[chunks[0]]), last, tile):
            item_tiles.append(np.full(len(begins), len(rows)))
            key_begins.append(begins)
            key_ends.append(np.minimum(begins + split, known + len(listed)))
            rows.append(first)
            counts.append(min(tile, last - first))
            splits.append(len(begins))
        known += len(listed)
    offsets = np.concatenate([[0], np.cumsum(splits)])
    takes_own = np.zeros(offsets[-1], dtype=np.int64)
    takes_own[offsets[:-1]] = 1  # a tile's first split takes its rows' own chunks
    items = [np.concatenate(part) for part in (item_tiles, key_begins, key_ends)]
    keys = [np.concatenate(part) for part in (slots, seen_by)]
    arrays = [np.asarray(rows), np.asarray(counts), offsets, *items, takes_own, *keys, bits, *own]
    return DecodeWork(max(counts), *(_int32(array, on) for array in arrays))


def _clusters(batch: Batch, spans: list[_Span], tile: int) -> Iterator[range]:
    """Neighbouring chunks of one query that share tiles: as many as fill one tile, or one chunk that is larger."""
    begin = end = 0
    for span in spans:
        for chunk in range(span.first, span.last):
            joins = (
                chunk == end
                and end > begin
                and batch.query_indices[begin] == batch.query_indices[chunk]
                and end - begin < _CHUNKS
                and batch.row_offsets[chunk + 1] - batch.row_offsets[begin] <= tile
            )
            if not joins:
                if end > begin:
                    yield range(begin, end)
                begin = chunk
            end = chunk + 1
    yield range(begin, end)


def _listed(batch: Batch, chunks: range) -> tuple[Ints, Ints]:
    """Slots of all keys the chunks see, in the order of the slots, and for each the word of who sees it."""
    words = np.zeros(len(batch.segment_starts), dtype=np.int64)
    for place, chunk in enumerate(chunks):
        words[_seen(batch, chunk)] |= 1 << place
    segments = np.flatnonzero(words)
    segments = segments[np.argsort(batch.segment_starts[segments], kind="stable")]
    lengths = batch.segment_lengths[segments]
    ends = np.cumsum(lengths)
    slots = np.arange(lengths.sum()) + np.repeat(batch.segment_starts[segments] - (ends - lengths), lengths)
    return slots, np.repeat(words[segments], lengths)


def _runs(batch: Batch, chunk: int) -> tuple[Ints, Ints]:
    """Starts and lengths of the runs of slots a chunk sees; segments that touch are one run."""
    seen = _seen(batch, chunk)
    seen = seen[batch.segment_lengths[seen] > 0]
    seen = seen[np.argsort(batch.segment_starts[seen], kind="stable")]
    starts, ends = batch.segment_starts[seen], batch.segment_starts[seen] + batch.segment_lengths[seen]
    breaks = np.flatnonzero(starts[1:] != ends[:-1]) + 1
    firsts, lasts = (
        np.concatenate([starts[:1], starts[breaks]]),
        np.concatenate([ends[breaks - 1], ends[-1:]]),
    )
    return firsts, lasts - firsts


def _rows(batch: Batch, chunks: range) -> int:
    return int(batch.row_offsets[chunks[-1] + 1] - batch.row_offsets[chunks[0]])


def _seen(batch: Batch, chunk: int) -> Ints:
    return batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]


def _int32(values: Ints, on: torch.device) -> Tensor:
    # By way of uint32: a word of 32 bits has to wrap into the sign of an int32.
    return torch.from_numpy(values.astype(np.uint32).view(np.int32)).to(on)
