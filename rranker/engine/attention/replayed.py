"""The Triton backend's work of one step, padded to fixed sizes: attention that can be recorded once and replayed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from rranker.kernels.attention.work import CELL, AttentionMetadata, Wave

from ..kv.cache import KVCache
from ..transfer import Array

_ORDER = (
    "rows", "counts", "tiles", "cell_begins", "cell_ends", "own", "parts", "merged", "part_begins", "part_ends",
    "cell_slots", "run_lengths", "run_words", "row_bits", "chunk_starts", "own_ends",
)  # fmt: skip


def sizes_of(rows: int, items: int, cells: int, runs: int) -> list[int]:
    """Lengths of the padded arrays, in the order in which `padded_work` gives them."""
    tiles, merges = rows + 1, items // 2  # a tile has at least a row; behind them all is one of none
    lengths = {"rows": tiles, "counts": tiles, "merged": merges, "part_begins": merges, "part_ends": merges}
    lengths |= {"cell_slots": cells, "run_lengths": runs, "run_words": runs}
    lengths |= dict.fromkeys(("row_bits", "chunk_starts", "own_ends"), rows)
    return [lengths.get(name, items) for name in _ORDER]


def padded_work(work: AttentionMetadata, cells: int) -> list[Array]:
    """The arrays of work of one wave; whoever pads them with zeros pads with items and merges of a tile of none.

    The words of cells that nobody listed are a run of zeros. Zeros name the first tile, so the work's own tiles come
    behind one of no rows.
    """
    arrays = {name: array.numpy() for name, array in work.arrays().items()}
    for name in ("rows", "counts"):
        arrays[name] = np.concatenate([np.zeros(1, np.int32), arrays[name]])
    for name in ("tiles", "merged"):
        arrays[name] = arrays[name] + np.int32(1)
    rest = np.asarray([cells * CELL - work.keys], dtype=np.int32)
    arrays["run_lengths"] = np.concatenate([arrays["run_lengths"], rest])
    arrays["run_words"] = np.concatenate([arrays["run_words"], np.zeros(1, np.int32)])
    return [arrays[name] for name in _ORDER]


class ReplayedAttention:
    """See `protocol.StepAttention`: of a step that stores nothing and that no window cuts.

    Args:
        arrays: those of `padded_work` on the device, padded with zeros; their content may change between replays.
        sizes: items and cells of the padded work.
        kind: query heads per KV head, KV heads, rows of a tile.
        store: where stored keys are.
        context_bias: see `Batch`.
    """

    def __init__(
        self,
        arrays: Sequence[Tensor],
        sizes: tuple[int, int],
        kind: tuple[int, int, int],
        store: KVCache,
        context_bias: float,
    ) -> None:
        items, cells = sizes
        groups, _, tile_rows = kind
        self._store, self._context_bias = store, context_bias
        self._work = AttentionMetadata(
            waves=(Wave(0, items, 0, items // 2),),
            largest=tile_rows // groups,
            most_parts=items,
            keys=cells * CELL,
            flat=arrays[0],
            **dict(zip(_ORDER, arrays, strict=True)),
        )
        self._words: Tensor | None = None

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, window: int | None
    ) -> Tensor:
        """As `protocol.StepAttention`; padded rows are zeros."""
        from rranker.kernels.attention.kernel import attention

        if self._words is None:
            self._words = self._work.key_words()
        heads, rows, size = query.shape[1:]
        stored = self._store.read(layer, slice(0, self._store.slots))
        out = query.new_zeros(rows, heads, size)
        tensors = query[0], key[0], value[0], *stored
        attention(*tensors, self._work, self._words, out, scaling, self._context_bias)
        return out[None]
