"""Listwise losses of suffix copies and of pairs, and a little language modelling for dense targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rranker.metrics.graded import reciprocal_ranks
from rranker.training.packing.batch import ListBatch
from rranker.training.packing.layout import Layout
from rranker.training.packing.pairs import PairBatch
from rranker.training.policy.ranking_model import RankingModel


def targets(relevance: Tensor, teacher_scores: Tensor, teacher_weight: Tensor, alive: Tensor) -> Tensor:
    """Who is to be selected: distributions [B, S, N] over the alive [B, S, N].

    The teacher's share (teacher_weight [B]) is the softmax of its log preferences (teacher_scores [B, N]); the rest
    goes by relevance [B, N], in proportion, or all of it to the teacher where none of the alive is relevant.
    """
    share = relevance[:, None].clamp_min(0.0) * alive
    total = share.sum(-1, keepdim=True)
    weight = torch.where(total > 0, teacher_weight[:, None, None], 1.0)
    taught = teacher_scores[:, None].expand_as(share).masked_fill(~alive, -torch.inf).softmax(-1)
    return torch.lerp(share / total.clamp_min(1e-9), taught, weight)


def worst_targets(relevance: Tensor, teacher_scores: Tensor, teacher_weight: Tensor, alive: Tensor) -> Tensor:
    """Who is to be excluded, as `targets`: the teacher's least preferred, and evenly the least relevant."""
    here = relevance[:, None].masked_fill(~alive, torch.inf)
    share = (here == here.amin(-1, keepdim=True)).float() * alive
    taught = (-teacher_scores[:, None]).expand_as(share).masked_fill(~alive, -torch.inf).softmax(-1)
    return torch.lerp(share / share.sum(-1, keepdim=True), taught, teacher_weight[:, None, None])


def cross_entropy(scores: Tensor, wanted: Tensor) -> Tensor:
    """[…], of softmax(scores) over the last dimension; scores are −∞ where there is nobody."""
    logs = scores.log_softmax(-1).masked_fill(wanted == 0, 0.0)  # −∞ · 0 would be NaN
    return -(wanted * logs).sum(-1)


def ranking_loss(fitness: Tensor, best: Tensor, worst: Tensor | None) -> Tensor:
    """Mean over queries and suffix copies, fitness, best and worst being [B, S, N].

    Copy 0 asks for the best. The others ask for the worst, whose logits are -fitness, and are told both: the worst
    alone says little about who is to be left in the end. None: who is the worst is not known, and they are told the
    best of those alive.
    """
    if worst is None:
        return cross_entropy(fitness, best).mean()
    selected, excluded = cross_entropy(fitness[:, :1], best[:, :1]), excluded_loss(fitness, best, worst)
    return torch.cat([selected, excluded[:, 1:]], 1).mean()


def excluded_loss(fitness: Tensor, best: Tensor, worst: Tensor) -> Tensor:
    """[…], of questions for the worst, fitness, best and worst being […, N]: half of it is about the best."""
    unfitness = (-fitness).masked_fill(fitness == -torch.inf, -torch.inf)
    return 0.5 * (cross_entropy(fitness, best) + cross_entropy(unfitness, worst))


def list_loss(model: RankingModel, hidden: Tensor, batch: ListBatch) -> tuple[Tensor, float, float]:
    """The loss of lists, how far it is above its least possible value (nats), and the mean reciprocal rank.

    Of a search's passages nobody knows the worst: those that do not answer are alike only because none was judged
    worse. Told that they were all the worst, a model unlearns to tell them apart.
    """
    given = batch.relevance, batch.teacher_scores, batch.teacher_weight, batch.layout.alive
    best, worst = targets(*given), None if batch.searches else worst_targets(*given)
    fitness = model.fitness(hidden, batch.layout, tempered=True)
    loss = ranking_loss(fitness, best, worst)
    selected = entropy(best)
    excluded = selected if worst is None else 0.5 * (selected + entropy(worst))
    floor = torch.cat([selected[:, :1], excluded[:, 1:]], 1).mean()
    return loss, float(loss.detach() - floor), reciprocal_rank(fitness[:, 0], batch.relevance)


def pair_loss(model: RankingModel, batch: PairBatch) -> tuple[Tensor, float, float]:
    """As `list_loss`, for queries against texts that do not see each other."""
    alive = batch.teacher_scores[:, None] > -torch.inf
    best = targets(batch.relevance, batch.teacher_scores, batch.teacher_weight, alive)
    fitness = model.pair_fitness(batch.queries, batch.texts)[:, None]
    fitness = fitness.masked_fill(~alive, -torch.inf)
    loss = cross_entropy(fitness, best).mean()
    return loss, float(loss.detach() - entropy(best).mean()), reciprocal_rank(fitness[:, 0], batch.relevance)


def entropy(wanted: Tensor) -> Tensor:
    """[…]: what `cross_entropy` cannot go below."""
    return -torch.xlogy(wanted, wanted).sum(-1)


def reciprocal_rank(fitness: Tensor, relevance: Tensor) -> float:
    """fitness [B, N] (−∞ where there is no candidate), relevance [B, N] → mean 1 / rank of a best candidate."""
    orders, lists = [], []
    for scores, grades in zip(fitness.detach().cpu(), relevance.cpu(), strict=True):
        there = scores != -torch.inf
        orders.append(scores[there].argsort(stable=True, descending=True).tolist())
        lists.append(grades[there].tolist())
    return float(reciprocal_ranks(lists, orders).mean())


def language_loss(model: RankingModel, hidden: Tensor, layout: Layout, share: float, seed: int) -> Tensor:
    """Next token within prefixes and within candidates, on a random `share` of the positions; 0 where none is drawn."""
    following = torch.cat([layout.ids[1:], layout.ids[:1]])
    # A row's successor is the next row of the same segment: positions run on by one inside a segment.
    inside = layout.positions.roll(-1) == layout.positions + 1
    inside[int(layout.suffix.min()) - 1 :] = False
    generator = torch.Generator().manual_seed(seed)  # the CPU's: a seed chooses the same rows on every device
    chosen = torch.rand(inside.shape, generator=generator, device="cpu") < share
    rows = (inside & chosen.to(inside.device)).nonzero()[:, 0]
    if not len(rows):
        return hidden[rows].float().sum()  # 0, with a gradient of 0: the mean of nothing would be NaN
    return F.cross_entropy(model.lm.lm_head(hidden[rows]).float(), following[rows])
