"""Log-probability and entropy of chosen tokens, from hidden states and the language-model head, with gradients.

The [rows, vocabulary] logits are never held: forward and backward walk the vocabulary in chunks, and the backward
pass computes each chunk's logits again. On a GPU with Triton the walk is Triton's (`kernel.py`); elsewhere it
is the PyTorch reference (`reference.py`). Both accumulate in fp32 (the reference in float64 when given float64).

With logits z, p = softmax(z), L = log-sum-exp(z) and entropy E = L − Σ p z:

    log p_t = z_t − L                 ∂ log p_t / ∂ z_v = [v = t] − p_v
                                      ∂ E / ∂ z_v       = −p_v (log p_v + E)
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .reference import backward_reference, forward_reference


def selected_logprobs(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """log softmax(scale · hidden Wᵀ) at the targets, and the entropy of that softmax in nats.

    hidden: [N, H]; weight: [V, H], of the same dtype and device; targets: [N], integers in 0 … V - 1. Returns
    ([N], [N]) in fp32, differentiable once in hidden and weight.

    >>> hidden, weight = torch.zeros(2, 8), torch.ones(4, 8)
    >>> selected_logprobs(hidden, weight, torch.tensor([0, 3]))[0].exp()
    tensor([0.2500, 0.2500])
    """
    if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[1]:
        raise ValueError(
            f"hidden {tuple(hidden.shape)} and weight {tuple(weight.shape)} must be [N, H] and [V, H]"
        )
    if targets.shape != hidden.shape[:1]:
        raise ValueError(
            f"targets must be [{len(hidden)}], one per row of hidden, not {tuple(targets.shape)}"
        )
    if hidden.dtype != weight.dtype:
        raise ValueError(f"hidden is {hidden.dtype} and weight is {weight.dtype}: they must be of one dtype")
    if not hidden.device == weight.device == targets.device:
        devices = f"{hidden.device}, {weight.device} and {targets.device}"
        raise ValueError(f"hidden, weight and targets must be on one device, not on {devices}")
    result: tuple[Tensor, Tensor] = _SelectedLogprobs.apply(  # type: ignore[no-untyped-call]  # torch's own
        hidden, weight, targets, scale
    )
    return result


class _SelectedLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        if _through_triton(hidden):
            from .kernel import forward
        else:
            forward = forward_reference
        logprobs, entropy, lse = forward(hidden, weight, targets, scale)
        ctx.save_for_backward(hidden, weight, targets, lse, entropy)
        ctx.scale = scale
        return logprobs, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_logprobs: Tensor, to_entropy: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, lse, entropy = ctx.saved_tensors
        if _through_triton(hidden):
            from .kernel import backward
        else:
            backward = backward_reference
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        grads = backward(
            hidden,
            weight,
            targets,
            ctx.scale,
            lse,
            entropy,
            to_logprobs.contiguous(),
            to_entropy.contiguous(),
            wanted,
        )
        return *grads, None, None


def _through_triton(hidden: Tensor) -> bool:
    # Nothing to launch for no rows: the reference's gradients are the zeros they should be.
    rows = len(hidden) > 0
    return rows and hidden.is_cuda and hidden.dtype != torch.float64 and find_spec("triton") is not None
