"""What the attention kernels are told to do: flat int32 arrays on the device, no mask and no copied keys."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class PrefillWork:
    """N tiles of query rows. A tile is a run of rows that all see the same stored keys.

    largest: rows of the largest tile. rows, counts: [N] first row and number of rows of each tile. run_begins,
    run_ends: [N] its runs of stored keys; run r holds the slots `run_starts[r]` … `run_starts[r] + run_lengths[r] - 1`.
    chunk_starts, own_ends: [T] for every row of the step the first row of its chunk, and the end of what it sees of
    it: itself and those before (causal), or all of it.
    """

    largest: int
    rows: Tensor
    counts: Tensor
    run_begins: Tensor
    run_ends: Tensor
    run_starts: Tensor
    run_lengths: Tensor
    chunk_starts: Tensor
    own_ends: Tensor


@dataclass(frozen=True, slots=True)
class DecodeWork:
    """N tiles of query rows, I items of work: each takes one tile over one split of the keys the tile sees.

    A tile's rows come from up to 32 chunks; `chunk_bits[row]` [T] is the place of the row's chunk among them.
    Key k of the K listed stands in slot `key_slots[k]` and is seen by the chunks whose bit is set in
    `key_seen_by[k]` (any subsets). Item i covers the keys `key_begins[i]:key_ends[i]` and, where `own[i]` is 1,
    its rows' own chunks as well. tiles: [I] each item's tile. rows, counts: [N]. The items of tile t are
    `item_offsets[t]:item_offsets[t + 1]` [N + 1]. largest, chunk_starts and own_ends: as in `PrefillWork`.
    """

    largest: int
    rows: Tensor
    counts: Tensor
    item_offsets: Tensor
    tiles: Tensor
    key_begins: Tensor
    key_ends: Tensor
    own: Tensor
    key_slots: Tensor
    key_seen_by: Tensor
    chunk_bits: Tensor
    chunk_starts: Tensor
    own_ends: Tensor
