"""What a launch needs beside its kernel: the right device, columns that are adjacent, rows that it can count to."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def on_device(tensor: Tensor) -> AbstractContextManager[object]:
    """Makes a tensor's GPU the current one: Triton launches there, wherever the pointers lead."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def adjacent_columns(**tensors: Tensor) -> None:
    """Raises ValueError, naming the tensor, for one whose columns are apart: a kernel would misread it."""
    for name, tensor in tensors.items():
        if tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
            raise ValueError(
                f"the columns of {name} must be adjacent, and its strides are {tensor.stride()}: "
                "pass it through .contiguous()"
            )


def small_offsets(**tensors: Tensor) -> None:
    """Raises ValueError, naming the tensor, for one whose last row begins beyond what 32 bits count, [heads, rows, D].

    The attention kernel multiplies rows by strides in 32 bits: it has no registers to spare for more.
    """
    for name, tensor in tensors.items():
        offset = (tensor.shape[1] - 1) * tensor.stride(1) + tensor.shape[2] - 1
        if offset >= 2**31:
            raise ValueError(
                f"the last of {tensor.shape[1]} rows of {name} ends {offset} numbers behind the first, and the "
                f"kernel counts to {2**31 - 1}: lower max_batch_tokens"
            )
