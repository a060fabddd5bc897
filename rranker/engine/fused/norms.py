"""RMSNorm modules, known by what they compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rranker.kernels.norm.reference import NormKind, norm_reference

from .attach import free

# Llama's, Gemma's, OLMo's; of those that compute the same with a module's weight, the first is taken.
_KINDS = (NormKind(False, True), NormKind(True, False), NormKind(False, False))


@dataclass(frozen=True, slots=True)
class FusedNorm:
    """See `attach.Fused`."""

    eps: float
    kind: NormKind

    def __call__(self, module: Any, x: Tensor) -> Tensor:
        """[..., W] → [..., W]; what the kernel does not take goes the module's own way."""
        from rranker.kernels.norm.kernel import norm

        if not fits(module, x):
            out: Tensor = type(module).forward(module, x)
            return out
        return norm(x, module.weight, self.eps, self.kind)


def fits(module: Any, *tensors: Tensor) -> bool:
    """Whether the norm kernels take these rows with the weight of `module`."""
    weight = module.weight
    return all(x.dtype == weight.dtype and x.stride(-1) == 1 and x.numel() > 0 for x in tensors)


def norm_of(module: nn.Module) -> FusedNorm | None:
    """None unless `module` has one weight, says its epsilon, and computes one of the kinds, to the last bit."""
    from rranker.kernels.launch import WIDEST_NORM

    weight, eps = getattr(module, "weight", None), _epsilon(module)
    if not free(module) or eps is None or not isinstance(weight, nn.Parameter) or weight.ndim != 1:
        return None
    if (
        len(list(module.parameters())) != 1
        or any(True for _ in module.buffers())
        or len(weight) > WIDEST_NORM
    ):
        return None
    rows = torch.arange(3 * len(weight), device=weight.device, dtype=torch.float32).view(3, -1)
    x = ((rows * 0.7).sin() * 2.0).to(weight.dtype)
    with torch.inference_mode():
        try:
            said = type(module).forward(module, x)
        except Exception:  # it takes something else: not ours to fuse
            return None
        kinds = (kind for kind in _KINDS if _same(said, norm_reference(x, weight, eps, kind)))
        kind = next(kinds, None)
    return None if kind is None else FusedNorm(eps, kind)


def _epsilon(module: nn.Module) -> float | None:
    eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    return eps if isinstance(eps, float) else None


def _same(said: Any, expected: Tensor) -> bool:
    return isinstance(said, Tensor) and said.dtype == expected.dtype and torch.equal(said, expected)
