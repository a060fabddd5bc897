"""One step's work for the model, as flat CSR arrays: no query, candidate or mask in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from rranker import _C

from .transfer import Transfer

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of `length` KV slots that starts at `start`; its first token has RoPE position `position`."""

    start: int
    length: int
    position: int


@dataclass(frozen=True, slots=True)
class Batch:
    """T query rows in C chunks over S stored segments.

    A chunk is a run of rows that sees, fully, every token of its visible segments and, causally, itself; wholly itself
    where the batch is `bidirectional` (an encoder's). `context_bias` is added to the scores, after scaling, of the
    visible segments' tokens and not to its own: so a chunk must be the whole of its segment where it is not 0.
    Keys and values of a row are written to the store (before anything is read) when its slot is not -1. A chunk sees
    what was stored before the step, or what chunks before it store: so a step may run in parts (`parts.py`).

    token_ids, positions, write_slots: [T]; row_offsets: [C + 1]; query_indices: [C], chunks of one query share one;
    visible: segment indices, those of chunk c at `visible_offsets[c]:visible_offsets[c + 1]`;
    segment_starts, segment_lengths, segment_positions: [S]; read_rows: rows whose hidden states are wanted.
    The fields up to here stand in the order in which the extension returns them. `transfer`: what goes to the device
    with the batch, where its builder had one.
    """

    token_ids: Ints
    positions: Ints
    write_slots: Ints
    row_offsets: Ints
    query_indices: Ints
    visible: Ints
    visible_offsets: Ints
    segment_starts: Ints
    segment_lengths: Ints
    segment_positions: Ints
    read_rows: Ints
    bidirectional: bool = False
    context_bias: float = 0.0
    transfer: Transfer | None = None

    def __post_init__(self) -> None:
        rows, chunks = len(self.token_ids), len(self.row_offsets) - 1
        if not (len(self.positions) == len(self.write_slots) == rows == self.row_offsets[-1]):
            raise ValueError("a plan's row arrays and row offsets disagree")
        if len(self.query_indices) != chunks or len(self.visible_offsets) != chunks + 1:
            raise ValueError("a plan's chunk arrays disagree")

    @property
    def rows(self) -> int:
        """New tokens that this step computes."""
        return len(self.token_ids)

    @property
    def chunks(self) -> int:
        """Runs of rows that see the same stored segments."""
        return len(self.row_offsets) - 1

    @property
    def own_ends(self) -> Ints:
        """[T]: of its own chunk, a row sees the rows before this one."""
        if self.bidirectional:
            return np.repeat(self.row_offsets[1:], np.diff(self.row_offsets))
        return np.arange(1, self.rows + 1)


class BatchBuilder:
    """Collects chunks from many queries into one `Batch`. The arrays grow in the C++ extension.

    `bidirectional`: the model is an encoder, whose chunks see themselves wholly. `context_bias`: see `Batch`.
    `transfer`: to the device where the batch will run; None for one that is never run, or on the CPU.
    """

    def __init__(
        self, *, bidirectional: bool = False, context_bias: float = 0.0, transfer: Transfer | None = None
    ) -> None:
        self._arrays = _C.BatchBuilder()
        self.bidirectional, self.context_bias, self._transfer = bidirectional, context_bias, transfer

    @property
    def rows(self) -> int:
        """New tokens collected so far."""
        return self._arrays.rows

    def segment(self, segment: Segment) -> int:
        """The number of a stored segment in this plan, for `visible`; the same one each time it is asked for."""
        return self._arrays.segment(segment.start, segment.length, segment.position)

    def segments(self, start: int, lengths: Ints, position: int) -> Ints:
        """Numbers of segments that lie end to end from slot `start` and all stand at `position`."""
        return self._arrays.segments(start, lengths, position)

    def chunk(
        self, tokens: Ints, position: int, visible: Ints, query_index: int, first_slot: int | None = None
    ) -> int:
        """Adds a chunk whose first token stands at `position`; returns its first row.

        `visible` holds numbers from `segment`. Its keys and values go to the slots from `first_slot` on; None
        keeps them out of the store. Raises ValueError for a number that no segment has.
        """
        return self._arrays.chunk(
            tokens, position, visible, query_index, -1 if first_slot is None else first_slot
        )

    def questions(
        self,
        tokens: Ints,
        positions: Ints,
        always: Ints,
        places: Ints,
        subsets: Sequence[tuple[int, ...]],
        query_index: int,
        reads: int = 1,
    ) -> int:
        """Adds a copy of the question `tokens` per subset, at that subset's position, its last `reads` rows read.

        A copy sees the segments `always`, then `places[i]` for each i of its subset. Returns the first copy's place
        in the step's output; the others follow.
        """
        return self._arrays.questions(tokens, positions, always, places, subsets, query_index, reads)

    def read(self, row: int) -> int:
        """Asks for a row's final hidden state; returns its place in the step's output."""
        return self._arrays.read(row)

    def reads(self, rows: Ints) -> range:
        """`read` for many rows at once; returns their places in the step's output."""
        first = self._arrays.reads(rows)
        return range(first, first + len(rows))

    def carry(self, array: Ints) -> Tensor:
        """Numbers that are needed on the device once the batch has run: they travel there with it."""
        return from_numpy(array) if self._transfer is None else self._transfer.add(array)

    def build(self) -> Batch:
        """The plan of everything collected so far."""
        return Batch(
            *self._arrays.arrays(),
            bidirectional=self.bidirectional,
            context_bias=self.context_bias,
            transfer=self._transfer,
        )
