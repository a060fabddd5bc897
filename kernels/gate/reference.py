"""A gated linear unit (Shazeer 2020) but for its matrices, in PyTorch: what the kernel must give."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional as F

Activation = Literal["silu", "gelu", "gelu_tanh"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


def gate_reference(gate: Tensor, up: Tensor, activation: Activation) -> Tensor:
    """See `gate`."""
    return activate(gate, activation) * up


def activate(x: Tensor, activation: Activation) -> Tensor:
    """The activation alone."""
    if activation == "silu":
        return F.silu(x)
    return F.gelu(x, approximate="tanh" if activation == "gelu_tanh" else "none")
