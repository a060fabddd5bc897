"""One step of a supervised run: micro-batches to gradients."""

from __future__ import annotations

import math
from concurrent.futures import Executor

import torch

from rranker.training.packing.batch import ListBatch
from rranker.training.packing.pairs import PairBatch
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.anchor import Anchor
from rranker.training.sft.config import SftConfig
from rranker.training.sft.feeding import Batch, cores
from rranker.training.sft.loss import language_loss, list_loss, pair_loss
from rranker.training.sft.optimizer import learnt
from rranker.training.sft.prompted import PromptedModel, QuestionBatch, question_loss

Model = RankingModel | PromptedModel


def forward_backward(
    model: Model, batch: Batch, config: SftConfig, seed: int, anchor: Anchor | None = None
) -> tuple[float, float, tuple[torch.Tensor, ...]]:
    """Of one micro-batch: divergence from its targets in nats, mean reciprocal rank, gradients."""
    if isinstance(model, PromptedModel):
        assert isinstance(batch, QuestionBatch)  # its own maker made it
        loss, divergence, reciprocal_ranks = question_loss(model, batch)
    elif isinstance(batch, PairBatch):
        loss, divergence, reciprocal_ranks = pair_loss(model, batch)
    else:
        assert isinstance(batch, ListBatch)
        if anchor is not None:
            batch = anchor.teach(batch)
        hidden = model.hidden(batch.layout)
        loss, divergence, reciprocal_ranks = list_loss(model, hidden, batch)
        if config.lm_weight:
            words = language_loss(model, hidden, batch.layout, config.lm_share, seed)
            loss = loss + config.lm_weight * words
    wanted = [parameter for _, parameter in learnt(model)]
    gradients = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    return divergence, reciprocal_ranks, gradients


def train_step(
    model: Model,
    batches: list[tuple[str, Batch]],
    config: SftConfig,
    step: int,
    pool: Executor,
    mean: list[torch.Tensor],
    anchor: Anchor | None = None,
) -> list[tuple[float, float]]:
    """Divergence and reciprocal rank of each micro-batch; their mean gradients go into `mean`, fp32.

    One micro-batch a core: at this size two cores on one product spend a quarter of their time waiting for
    each other. Gradients are added in the micro-batches' order, so a run can be repeated exactly.
    """
    device = mean[0].device
    jobs = [
        pool.submit(forward_backward, model, batch.to(device), config, step * 64 + micro, anchor)
        for micro, (_, batch) in enumerate(batches)
    ]
    seen = []
    for total in mean:
        total.zero_()
    for (name, _), job in zip(batches, jobs, strict=True):
        divergence, reciprocal_ranks, gradients = job.result()
        if not math.isfinite(divergence):
            raise FloatingPointError(
                f"step {step}, source {name}: the loss is {divergence}; lower the learning rate"
            )
        seen.append((divergence, reciprocal_ranks))
        for total, gradient in zip(mean, gradients, strict=True):
            total.add_(gradient, alpha=1 / len(batches))
    return seen


def learners(device: torch.device) -> int:
    """How many micro-batches are learnt from at once: one a core, one on a GPU."""
    return 1 if device.type == "cuda" else cores()
