"""The plan builder in plain Python: a list per array, appended to as the docstrings of `engine/batch.py` say."""

from __future__ import annotations

import numpy as np


class BatchBuilder:
    """The same methods as `rranker._C.BatchBuilder`."""

    def __init__(self):
        self.numbers = {}
        self.tokens, self.positions, self.slots, self.query_indices, self.visible, self.read_rows = (
            [],
            [],
            [],
            [],
            [],
            [],
        )
        self.row_offsets, self.visible_offsets = [0], [0]

    @property
    def rows(self):
        return len(self.tokens)

    def segment(self, start, length, position):
        return self.numbers.setdefault((start, length, position), len(self.numbers))

    def segments(self, start, lengths, position):
        ends = np.cumsum(lengths)
        return [
            self.segment(int(start + end - n), int(n), position) for end, n in zip(ends, lengths, strict=True)
        ]

    def chunk(self, tokens, position, visible, query_index, first_slot):
        first = self.rows
        self.tokens += list(tokens)
        self.positions += range(position, position + len(tokens))
        self.slots += [-1] * len(tokens) if first_slot < 0 else range(first_slot, first_slot + len(tokens))
        self.row_offsets.append(self.rows)
        self.query_indices.append(query_index)
        self.visible += list(visible)
        self.visible_offsets.append(len(self.visible))
        return first

    def questions(self, tokens, positions, always, places, subsets, query_index, reads):
        first = len(self.read_rows)
        for position, subset in zip(positions, subsets, strict=True):
            self.chunk(tokens, position, [*always, *(places[place] for place in subset)], query_index, -1)
            for row in range(self.rows - reads, self.rows):
                self.read(row)
        return first

    def read(self, row):
        self.read_rows.append(row)
        return len(self.read_rows) - 1

    def reads(self, rows):
        first = len(self.read_rows)
        self.read_rows += list(rows)
        return first

    def arrays(self):
        starts, lengths, positions = zip(*self.numbers, strict=True) if self.numbers else ((), (), ())
        return tuple(
            np.asarray(values, dtype=np.int64)
            for values in (
                self.tokens,
                self.positions,
                self.slots,
                self.row_offsets,
                self.query_indices,
                self.visible,
                self.visible_offsets,
                starts,
                lengths,
                positions,
                self.read_rows,
            )
        )


def hidden_keys(chunks, segments, row_offsets, visible, visible_offsets, segment_lengths):
    lines = []
    for chunk in chunks:
        seen = set(visible[visible_offsets[chunk] : visible_offsets[chunk + 1]].tolist())
        line = [segment not in seen for segment in segments for _ in range(segment_lengths[segment])]
        lines += [line] * int(row_offsets[chunk + 1] - row_offsets[chunk])
    width = int(sum(segment_lengths[segment] for segment in segments))
    return np.asarray(lines, dtype=bool).reshape(len(lines), width)
