"""Rows of keys and values copied to slots of the store, in PyTorch: what the kernel must do."""

from __future__ import annotations

from torch import Tensor


def write_reference(
    key: Tensor, value: Tensor, stored_key: Tensor, stored_value: Tensor, rows: Tensor, slots: Tensor
) -> None:
    """See `write`."""
    stored_key.index_copy_(1, slots.long(), key[:, rows.long()])
    stored_value.index_copy_(1, slots.long(), value[:, rows.long()])
