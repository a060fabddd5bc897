"""Listwise loss of every suffix copy, and a little language modelling for dense targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rranker.metrics.graded import reciprocal_ranks
from rranker.training.packing.layout import Layout
from rranker.training.policy.ranking_model import RankingModel


def targets(relevance: Tensor, teacher_scores: Tensor, teacher_weight: Tensor, alive: Tensor) -> Tensor:
    """Distributions [B, S, N] over the alive [B, S, N], of relevance and teacher_scores [B, N], teacher_weight [B].

    The teacher's share is the softmax of its log preferences; the rest goes by relevance, in proportion.
    """
    share = relevance[:, None] * alive
    share = share / share.sum(-1, keepdim=True).clamp_min(1e-9)
    taught = teacher_scores[:, None].expand_as(share).masked_fill(~alive, -torch.inf).softmax(-1)
    return torch.lerp(share, taught, teacher_weight[:, None, None])


def ranking_loss(fitness: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of softmax(fitness) over the alive, averaged over queries and suffix copies."""
    logs = fitness.log_softmax(-1).masked_fill(wanted == 0, 0.0)  # −∞ · 0 would be NaN
    return -(wanted * logs).sum(-1).mean()


def entropy(wanted: Tensor) -> Tensor:
    """What `ranking_loss` cannot go below."""
    return -torch.xlogy(wanted, wanted).sum(-1).mean()


def reciprocal_rank(fitness: Tensor, relevance: Tensor) -> float:
    """fitness [B, N] (−∞ where there is no candidate), relevance [B, N] → mean 1 / rank of a best candidate."""
    counts = (fitness != -torch.inf).sum(-1).tolist()  # candidates stand first, padding after them
    orders = fitness.argsort(stable=True, dim=-1, descending=True).tolist()
    lists = [row[:n] for row, n in zip(relevance.tolist(), counts, strict=True)]
    return float(reciprocal_ranks(lists, [order[:n] for order, n in zip(orders, counts, strict=True)]).mean())


def language_loss(model: RankingModel, hidden: Tensor, layout: Layout, share: float, seed: int) -> Tensor:
    """Next token within prefixes and within candidates, on a random `share` of the positions."""
    following = torch.cat([layout.ids[1:], layout.ids[:1]])
    # A row's successor is the next row of the same segment: positions run on by one inside a segment.
    inside = layout.positions.roll(-1) == layout.positions + 1
    inside[int(layout.suffix.min()) - 1 :] = False
    generator = torch.Generator().manual_seed(seed)
    rows = (inside & (torch.rand(inside.shape, generator=generator) < share)).nonzero()[:, 0]
    return F.cross_entropy(model.lm.lm_head(hidden[rows]).float(), following[rows])
