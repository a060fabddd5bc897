"""How many steps a run has: as many as fit in a time, or as see each of one's own lists so often."""

from __future__ import annotations

import time

import torch

from rranker.training.sft.anchor import anchor_of
from rranker.training.sft.config import SftConfig
from rranker.training.sft.feeding import Maker, workers
from rranker.training.sft.optimizer import learnt
from rranker.training.sft.step import Model, learners, train_step


def steps_for(minutes: float, config: SftConfig, model: Model, make: Maker, trials: int = 6) -> int:
    """How many steps fit beside the few that are timed here, one at least.

    The schedule then counts steps, so a paused run loses nothing.
    """
    began = time.perf_counter()
    gradients = [torch.zeros_like(parameter, dtype=torch.float32) for _, parameter in learnt(model)]
    anchor = anchor_of(config, gradients[0].device)
    with workers(learners(gradients[0].device)) as pool:
        train_step(model, make(0), config, 0, pool, gradients, anchor)
        warm = time.perf_counter()
        for step in range(1, 1 + trials):
            train_step(model, make(step), config, step, pool, gradients, anchor)
    ended = time.perf_counter()
    each = (ended - warm) / trials
    left = minutes * 60 - (ended - began)
    return max(1, int(left / (each * 1.08)))


def steps_for_passes(passes: float, rows: int, make: Maker, trials: int = 8) -> int:
    """How many steps draw each of `rows` lists `passes` times on average, by counting the lists of a few."""
    lists = sum(len(batch.relevance) for step in range(trials) for _, batch in make(step)) / trials
    return max(1, round(passes * rows / lists))
