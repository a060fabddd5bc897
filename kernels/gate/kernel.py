"""An activation and the product after it, in one launch: the activation is never written. For inference only."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..guard import adjacent_columns, on_device
from ..launch import pick_gate
from .reference import ACTIVATIONS, Activation


@triton.jit
def gate_kernel(
    gate, up, out, gate_row, up_row, out_row, width,
    ACTIVATION: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    """Grid: (rows, blocks of columns). ACTIVATION: the place in `ACTIVATIONS`."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK_W + tl.arange(0, BLOCK_W)
    inside = columns < width
    given = tl.load(gate + row * gate_row + columns, mask=inside, other=0.0)
    x = given.to(tl.float32)
    if ACTIVATION == 0:
        y = x / (1.0 + tl.exp(-x))
    elif ACTIVATION == 1:
        y = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    else:
        # 0.5 · (1 + tanh(u)) is sigmoid(2u)
        y = x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    y = y.to(given.dtype).to(tl.float32)
    other = tl.load(up + row * up_row + columns, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * out_row + columns, (y * other).to(given.dtype), mask=inside)


def gate(gate: Tensor, up: Tensor, activation: Activation) -> Tensor:
    """activation(`gate`) · `up`, both [..., W] and of one dtype. The activation is rounded to it, as PyTorch's is.

    Raises ValueError for columns that are not adjacent.
    """
    width = gate.shape[-1]
    gates, ups = gate.reshape(-1, width), up.reshape(-1, width)
    adjacent_columns(gate=gates, up=ups)
    out, tile = torch.empty_like(gate, memory_format=torch.contiguous_format), pick_gate(width)
    with on_device(gate):
        gate_kernel[(len(gates), triton.cdiv(width, tile.block_w))](
            gates, ups, out, gates.stride(0), ups.stride(0), width, width,
            ACTIVATION=ACTIVATIONS.index(activation), **tile.options(),
        )  # fmt: skip
    return out
