"""What every launch needs beside its kernel: the right device, and columns that are adjacent."""

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
