"""The next token: the most probable one, or one drawn from the most probable that hold `top_p` together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...reasoning import Sampling


def distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """logits [..., V] → the probabilities [..., V], fp32, of what `choose` draws; `sampling` must not be greedy."""
    probabilities = (logits.float() / sampling.temperature).softmax(-1)
    if sampling.top_p == 1:
        return probabilities
    falling, order = probabilities.sort(dim=-1, descending=True)
    # Whoever those before it do not suffice without: so there is always one.
    kept = falling.cumsum(-1) - falling < sampling.top_p
    falling = torch.where(kept, falling, 0.0)
    falling = falling / falling.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter_(-1, order, falling)


def choose(logits: Tensor, sampling: Sequence[Sampling], draws: Sequence[float]) -> list[int]:
    """logits [R, V] → a token for each row. `draws[r]` in [0, 1) decides row r where its sampling is not greedy."""
    tokens: list[int] = logits.argmax(-1).tolist()
    groups: dict[Sampling, list[int]] = {}
    for row, how in enumerate(sampling):
        if not how.greedy:
            groups.setdefault(how, []).append(row)
    for how, rows in groups.items():
        sums = distribution(logits[rows], how).double().cumsum(-1)
        points = torch.tensor([draws[row] for row in rows], dtype=torch.float64, device=logits.device)
        # Against the sum as it was rounded, so that no draw points behind the last token that may be drawn.
        drawn = torch.searchsorted(sums, (points * sums[:, -1])[:, None], right=True)[:, 0]
        for row, token in zip(rows, drawn.tolist(), strict=True):
            tokens[row] = token
    return tokens
