"""Rows of keys and values copied to slots of the store: one launch where PyTorch takes four."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from ..guard import adjacent_columns, on_device
from ..launch import pick_write


@triton.jit
def write_kernel(
    key, value, stored_key, stored_value, source_rows, slots,
    key_head, key_row, value_head, value_row, stored_key_head, stored_key_slot, stored_value_head, stored_value_slot,
    heads, KEY_D: tl.constexpr, VALUE_D: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Grid: (rows to write, blocks of heads). Columns are adjacent."""
    row = tl.load(source_rows + tl.program_id(0)).to(tl.int64)
    slot = tl.load(slots + tl.program_id(0)).to(tl.int64)
    head = (tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H)).to(tl.int64)[:, None]
    columns = tl.arange(0, BLOCK_D)[None, :]
    there = (head < heads) & (columns < KEY_D)
    keys = tl.load(key + head * key_head + row * key_row + columns, mask=there)
    tl.store(stored_key + head * stored_key_head + slot * stored_key_slot + columns, keys, mask=there)
    there = (head < heads) & (columns < VALUE_D)
    values = tl.load(value + head * value_head + row * value_row + columns, mask=there)
    tl.store(stored_value + head * stored_value_head + slot * stored_value_slot + columns, values, mask=there)


def write(
    key: Tensor, value: Tensor, stored_key: Tensor, stored_value: Tensor, rows: Tensor, slots: Tensor
) -> None:
    """Copies row `rows[i]` of `key` and `value` [kv_heads, T, D] to slot `slots[i]` of the stores [kv_heads, slots, D].

    rows, slots: one length, at least 1, integers. A value's D may be another than a key's. Raises ValueError for
    columns that are not adjacent.
    """
    adjacent_columns(key=key, value=value, stored_key=stored_key, stored_value=stored_value)
    heads, tile = key.shape[0], pick_write(max(key.shape[2], value.shape[2]))
    with on_device(key):
        write_kernel[(len(rows), triton.cdiv(heads, tile.block_h))](
            key, value, stored_key, stored_value, rows, slots,
            key.stride(0), key.stride(1), value.stride(0), value.stride(1),
            stored_key.stride(0), stored_key.stride(1), stored_value.stride(0), stored_value.stride(1),
            heads, KEY_D=key.shape[2], VALUE_D=value.shape[2], **tile.options(),
        )  # fmt: skip
