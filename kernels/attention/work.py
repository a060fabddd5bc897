"""What the attention kernel is told to do: flat int32 arrays, no mask and no copied keys."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

CELL = 64
"""Slots of one cell of a query's grid. Splits are whole cells, and a block of keys never reaches over a cell's end."""


class Wave(NamedTuple):
    """Items `items` … `items_end - 1`, then the merges `merges` … `merges_end - 1`, launched one after the other."""

    items: int
    items_end: int
    merges: int
    merges_end: int


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """N tiles of query rows, I items of work: each takes one tile over one split of the stored keys the tile sees.

    Every row of the step is in one tile. A tile's rows are neighbours of one query; what they see of the store is
    one of up to 32 sets of segments, and `row_bits[row]` [T] is the place of the row's set among them.

    Stored keys come in cells of 64 adjacent slots, counted from the first slot of what the query sees: cell c holds
    the slots from `cell_slots[c]` on [C]. Behind each key stands a word of 32 bits, those of the sets that it belongs
    to; 0 says that no row of the tile sees it, and its slot is not read. The words of all cells, end to end, are run r
    after run r: `run_words[r]`, `run_lengths[r]` times [R]; `key_words` writes them out. A query's cells and splits lie
    where they lie whatever else is asked beside it, so a row's sums are taken in one order, alone and in any company.

    Item i covers the cells `cell_begins[i]:cell_ends[i]` of the tile `tiles[i]`; where `own[i]` is not 0, the rows' own
    chunks as well, so many keys at a time (at most a block): the length of its chunks where they see several sets, so
    that each chunk begins a block, as it does alone; else 64. Where `parts[i]` is -1 the item is its tile's only one
    and writes the result; else it writes part number `parts[i]` of its wave, and merge m puts together the parts
    `part_begins[m]:part_ends[m]` of the tile `merged[m]`.

    All arrays are pieces of `flat`, each from 16 bytes on, as the compiled kernels assume.

    largest: rows of the largest tile; most_parts: parts of the largest wave; keys: 64 · C. rows, counts: [N] first row
    and number of rows of each tile; a tile of none is left alone. chunk_starts, own_ends: [T] for every row of the step
    the first row of its chunk, and the end of what it sees of it: itself and those before (causal), or all of it.
    """

    waves: tuple[Wave, ...]
    largest: int
    most_parts: int
    keys: int
    flat: Tensor
    rows: Tensor
    counts: Tensor
    tiles: Tensor
    cell_begins: Tensor
    cell_ends: Tensor
    own: Tensor
    parts: Tensor
    merged: Tensor
    part_begins: Tensor
    part_ends: Tensor
    cell_slots: Tensor
    run_lengths: Tensor
    run_words: Tensor
    row_bits: Tensor
    chunk_starts: Tensor
    own_ends: Tensor

    def key_words(self) -> Tensor:
        """[64 · C] int32, where `run_words` is; nothing waits for a device."""
        return torch.repeat_interleave(self.run_words, self.run_lengths, output_size=self.keys)

    def to(self, on: torch.device) -> AttentionMetadata:
        """The arrays on a device, in one copy."""
        return self.over(self.flat.to(on))

    def over(self, flat: Tensor) -> AttentionMetadata:
        """The same work with its arrays as pieces of `flat`, which holds, or is going to hold, what its own does."""
        moved = {
            name: flat[array.storage_offset() - self.flat.storage_offset() :][: len(array)]
            for name, array in self.arrays().items()
        }
        return replace(self, flat=flat, **moved)  # type: ignore[arg-type]  # by name, and all of them tensors

    def arrays(self) -> dict[str, Tensor]:
        """All arrays by name, the flat one left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "flat"}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}
