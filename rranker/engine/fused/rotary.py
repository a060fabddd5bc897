"""Rotary embedding inside attention modules: their own forward, with one function of its file bound otherwise.

transformers' attention calls `apply_rotary_pos_emb` by its name in the architecture's file. The forward of one instance
is that same code over a copy of the file's names, in which this one stands for the kernel. The file stays as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from rranker.kernels.rotary.reference import rotate_reference

from .attach import free

_NAME = "apply_rotary_pos_emb"
Rotation = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class FusedRotary:
    """See `attach.Fused`."""

    forward: Callable[..., Any]

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """The module's own attention, with the kernel in it."""
        return self.forward(module, *args, **kwargs)


def rotary_of(module: nn.Module) -> FusedRotary | None:
    """None unless the forward of `module` calls `apply_rotary_pos_emb`, and that computes what Llama's does."""
    forward = inspect.unwrap(type(module).forward)
    if not free(module) or not isinstance(forward, FunctionType) or _NAME not in forward.__code__.co_names:
        return None
    own = forward.__globals__.get(_NAME)
    if own is None or not all(_turns(own, dtype) for dtype in (torch.float32, torch.bfloat16)):
        return None
    names = {**forward.__globals__, _NAME: _kernel_where_it_fits(own)}
    copy = FunctionType(forward.__code__, names, forward.__name__, forward.__defaults__, forward.__closure__)
    copy.__kwdefaults__ = forward.__kwdefaults__
    return FusedRotary(copy)


def _turns(own: Rotation, dtype: torch.dtype) -> bool:
    counts = torch.arange(48, dtype=torch.float32)
    query, key = (counts.sin() * 2).view(1, 2, 3, 8).to(dtype), counts[:24].cos().view(1, 1, 3, 8).to(dtype)
    cos, sin = ((counts[:24] * scale).sin().view(1, 3, 8).to(dtype) for scale in (0.3, 0.7))
    with torch.inference_mode():
        try:
            said = own(query, key, cos, sin)
            pairs = zip(said, rotate_reference(query, key, cos, sin), strict=True)
            return all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs)
        except Exception:  # it takes something else, or returns it: not ours to fuse
            return False


def _kernel_where_it_fits(own: Rotation) -> Rotation:
    def rotation(
        query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        from rranker.kernels.rotary.kernel import rotate

        if args or kwargs or not _fits(query, key, cos, sin):
            return own(query, key, cos, sin, *args, **kwargs)
        return rotate(query, key, cos, sin)

    return rotation


def _fits(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> bool:
    """One row of positions, whole heads, one dtype, adjacent columns."""
    shape = (1, query.shape[2], query.shape[3])
    tensors = (query, key, cos, sin)
    return (
        query.shape[0] == key.shape[0] == 1
        and cos.shape == sin.shape == shape
        and key.shape[2:] == query.shape[2:]
        and query.shape[3] % 2 == 0
        and query.numel() > 0
        and all(x.dtype == query.dtype and x.stride(-1) == 1 for x in tensors)
    )
