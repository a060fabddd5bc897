"""Listwise loss of every suffix copy, and a little language modelling for dense targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rranker.training.layout import Layout
from rranker.training.model import RankingModel


def targets(task: str, grades: Tensor, alive: Tensor, temperature: float = 0.5) -> Tensor:
    """grades [B, N], alive [B, S, N] → distributions [B, S, N] over the alive: the best holds the most.

    Routing utilities are differences in value, so they are standardised (costs spread far less than scores)
    and go through a softmax; grades are shares.
    """
    if task == "routing":
        count = alive.sum(-1, keepdim=True)
        kept = grades[:, None] * alive
        mean = kept.sum(-1, keepdim=True) / count
        deviation = ((grades[:, None] - mean).square() * alive).sum(-1, keepdim=True) / count
        spread = (grades[:, None] - mean) / (deviation.sqrt() + 1e-3) / temperature
        return spread.masked_fill(~alive, -torch.inf).softmax(-1)
    share = grades[:, None] * alive
    return share / share.sum(-1, keepdim=True).clamp_min(1e-9)


def ranking_loss(fitness: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of softmax(fitness) over the alive, averaged over queries and suffix copies."""
    logs = fitness.log_softmax(-1).masked_fill(wanted == 0, 0.0)  # −∞ · 0 would be NaN
    return -(wanted * logs).sum(-1).mean()


def language_loss(model: RankingModel, hidden: Tensor, layout: Layout, share: float, seed: int) -> Tensor:
    """Next token within prefixes and within candidates, on a random `share` of the positions."""
    following = torch.cat([layout.ids[1:], layout.ids[:1]])
    # A row's successor is the next row of the same segment: positions run on by one inside a segment.
    inside = layout.positions.roll(-1) == layout.positions + 1
    inside[int(layout.suffix.min()) - 1 :] = False
    generator = torch.Generator().manual_seed(seed)
    rows = (inside & (torch.rand(inside.shape, generator=generator) < share)).nonzero()[:, 0]
    return F.cross_entropy(model.lm.lm_head(hidden[rows]).float(), following[rows])
