"""The next token: the most probable one, or one drawn from the most probable that hold `top_p` together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...reasoning import Sampling
from ..transfer import Transfer


def distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """logits [..., V] → the probabilities [..., V], fp32, of what `Choice` draws; `sampling` must not be greedy."""
    probabilities = (logits.float() / sampling.temperature).softmax(-1)
    if sampling.top_p == 1:
        return probabilities
    falling, order = probabilities.sort(dim=-1, descending=True)
    # Whoever those before it do not suffice without: so there is always one.
    kept = falling.cumsum(-1) - falling < sampling.top_p
    falling = torch.where(kept, falling, 0.0)
    falling = falling / falling.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter_(-1, order, falling)


class Choice:
    """How a step's tokens are chosen. `draws[r]` in [0, 1) decides row r where its sampling is not greedy."""

    def __init__(self, sampling: Sequence[Sampling], draws: Sequence[float], transfer: Transfer) -> None:
        groups: dict[Sampling, list[int]] = {}
        for row, how in enumerate(sampling):
            if not how.greedy:
                groups.setdefault(how, []).append(row)
        self._groups = [
            (how, transfer.add(np.asarray(rows)), transfer.add(np.asarray([draws[row] for row in rows])))
            for how, rows in groups.items()
        ]

    def __call__(self, logits: Tensor) -> Tensor:
        """logits [R, V] → a token for each row [R], once the transfer was sent; nothing waits for the device."""
        tokens = logits.argmax(-1)
        for how, rows, points in self._groups:
            sums = distribution(logits.index_select(0, rows), how).double().cumsum(-1)
            # Against the sum as it was rounded, so that no draw points behind the last token that may be drawn.
            drawn = torch.searchsorted(sums, (points * sums[:, -1])[:, None], right=True)[:, 0]
            tokens.index_copy_(0, rows, drawn)
        return tokens
