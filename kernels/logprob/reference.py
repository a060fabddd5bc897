"""Log-probabilities, entropies and their gradients in PyTorch, over chunks of the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_CHUNK = 4096  # columns of logits held at a time


def _chunks(weight: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The vocabulary's chunks, widened: (first column, rows of weight)."""
    for first in range(0, len(weight), _CHUNK):
        yield first, _wide(weight[first : first + _CHUNK])


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def forward_reference(
    hidden: Tensor, weight: Tensor, targets: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(log-probabilities, entropies, log-sum-exps), each [N]."""
    states = _wide(hidden)
    lse = states.new_full((len(states),), -torch.inf)
    mean, picked = states.new_zeros(len(states)), states.new_zeros(len(states))
    for first, rows in _chunks(weight):
        logits = states @ rows.T * scale
        here = logits.logsumexp(-1)
        raised = torch.logaddexp(lse, here)
        # The mean logit under the softmax over all chunks so far.
        mean = mean * (lse - raised).exp() + ((logits - raised[:, None]).exp() * logits).sum(-1)
        lse = raised
        index = targets - first
        hit = (index >= 0) & (index < len(rows))
        at = index.clamp(0, len(rows) - 1)[:, None]
        picked = torch.where(hit, logits.gather(1, at)[:, 0], picked)
    return picked - lse, lse - mean, lse


def backward_reference(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    scale: float,
    lse: Tensor,
    entropy: Tensor,
    to_logprobs: Tensor,
    to_entropy: Tensor,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of hidden and of weight; None where not `wanted`."""
    states = _wide(hidden)
    to_hidden = torch.zeros_like(states) if wanted[0] else None
    to_weight = torch.empty_like(weight) if wanted[1] else None
    for first, rows in _chunks(weight):
        logs = states @ rows.T * scale - lse[:, None]
        p = logs.exp()
        grad = -p * (to_logprobs[:, None] + to_entropy[:, None] * (logs + entropy[:, None]))
        index = targets - first
        hit = ((index >= 0) & (index < len(rows))).nonzero()[:, 0]
        grad[hit, index[hit]] += to_logprobs[hit]
        grad *= scale
        if to_hidden is not None:
            to_hidden += grad @ rows
        if to_weight is not None:
            to_weight[first : first + len(rows)] = grad.T @ states
    return None if to_hidden is None else to_hidden.to(hidden.dtype), to_weight
