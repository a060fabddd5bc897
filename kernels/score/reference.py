"""Scores of every decision, one by one: what the kernel must give."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Scores(NamedTuple):
    """Of R decisions over A alive identifiers in all. `best` counts within its decision; ties go to the first."""

    logits: Tensor  # [A] fp32
    logprobs: Tensor  # [A] fp32, log-softmax within each decision
    entropy: Tensor  # [R] fp32, nats
    best: Tensor  # [R] int32


def score_reference(
    hidden: Tensor,
    weight: Tensor,
    identifiers: Tensor,
    offsets: Tensor,
    most: int,
    scale: float = 1.0,
    cap: float | None = None,
) -> Scores:
    """See `score`; decision by decision, in the precision of its arguments."""
    logits, logprobs, entropy, best = [], [], [], []
    for state, begin, end in zip(hidden, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        scores = weight[identifiers[begin:end].long()] @ state * scale
        if cap is not None:
            scores = cap * torch.tanh(scores / cap)
        logs = scores.log_softmax(-1)
        logits.append(scores)
        logprobs.append(logs)
        entropy.append(-(logs.exp() * logs).sum())
        best.append(scores.argmax())
    return Scores(torch.cat(logits), torch.cat(logprobs), torch.stack(entropy), torch.stack(best).int())
