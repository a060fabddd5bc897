"""From a batch to the attention kernel's work: which rows share tiles, over which cells of stored keys."""

from __future__ import annotations

import torch

from rranker import _C
from rranker.kernels.attention.work import CELL, AttentionMetadata, Wave

from ..batch import Batch
from ..errors import SettingError

# Cells of one split, for rows that see the same and fill up to TILES tiles; more of them fill a GPU with longer
# splits. Nothing here looks at other questions or queries, so that a result does not depend on what is beside it.
SPLIT, TILES = 8, 8
# Sets of segments that can share a tile: one bit each.
SETS = 32
# Programs of one wave that write parts: eight times the multiprocessors of the largest GPUs, whatever the step holds,
# and with 128 rows of 128 columns 64 MB of parts at most.
PARTS = 1024


def attention_metadata(
    batch: Batch, groups: int, kv_heads: int, tile_rows: int, most_parts: int | None = None
) -> AttentionMetadata:
    """The batch's work for `groups` query heads per KV head, packed into tiles of `tile_rows` rows; on the CPU.

    `most_parts`: of one wave and KV head; None: as many as keep a GPU busy.

    Planned in C++ (`csrc/attention_work.cpp`). Raises ValueError when one row's grouped heads do not fit a tile.
    """
    if groups > tile_rows:
        raise SettingError(
            f"{groups} query heads share a KV head, and the Triton kernels pack at most {tile_rows}: "
            "use attention_backend='reference'"
        )
    flat, places, waves, largest, parts, keys = _C.attention_work(
        batch.row_offsets,
        batch.query_indices,
        batch.visible,
        batch.visible_offsets,
        batch.segment_starts,
        batch.segment_lengths,
        batch.bidirectional,
        tile_rows // groups,
        (CELL, SPLIT, TILES, SETS, PARTS // kv_heads if most_parts is None else most_parts),
    )
    arrays = torch.from_numpy(flat)
    return AttentionMetadata(
        tuple(Wave(*wave) for wave in waves),
        largest,
        parts,
        keys,
        arrays,
        *(arrays[begin : begin + count] for begin, count in places),
    )
