"""Micro-batches of a supervised run, made beside the steps that learn from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rranker.training.examples.example import Pairs
from rranker.training.examples.sources import Draw, Sources
from rranker.training.packing.batch import ListBatch, training_batch
from rranker.training.packing.pairs import PairBatch, pair_batch
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import list_format
from rranker.training.sft.config import SftConfig
from rranker.training.sft.prompted import PromptedModel, QuestionBatch

LATE = ("squad", "trecdl", "classic", "questions")
"""Sources of long passages: they wait until short ones have taught what a match is."""

LIST_TOKENS = 384
"""What a list takes at least, usually, in a language model's prompt."""

Batch = ListBatch | PairBatch | QuestionBatch
Maker = Callable[[int], list[tuple[str, Batch]]]


def mixture(
    sources: Sources, model: RankingModel | PromptedModel, tokenizer: Any, config: SftConfig
) -> Maker:
    """A function from a step's number to its named micro-batches for `model`: nothing else is remembered."""
    batch_of = (
        question_batches(model, config)
        if isinstance(model, PromptedModel)
        else list_batches(model, tokenizer, config)
    )
    # A language model's lists are few, and those that find no room have cost their teacher's time.
    most = 1 + config.tokens // LIST_TOKENS if isinstance(model, PromptedModel) else None
    names, weights = list(config.weights), np.array(list(config.weights.values()))
    late = np.array([name in LATE for name in names])

    def make(step: int) -> list[tuple[str, Batch]]:
        rng = np.random.default_rng([config.seed, step])
        # What starts from another model knows what a match is.
        curriculum = 0.0 if config.start else max(0.0, 1 - step / max(config.steps * 0.35, 1))
        now = np.where(late, weights * (1 - curriculum), weights)
        if not now.any():  # late sources alone: nobody has to wait for anything else
            now = weights
        return [
            micro_batch(names[rng.choice(len(names), p=now / now.sum())], rng, curriculum)
            for _ in range(config.accumulate)
        ]

    def micro_batch(name: str, rng: np.random.Generator, curriculum: float) -> tuple[str, Batch]:
        return name, batch_of(sources.draw(name, rng, curriculum, most, config.tokens), rng)

    return make


def list_batches(
    model: RankingModel, tokenizer: Any, config: SftConfig
) -> Callable[[Draw, np.random.Generator], Batch]:
    """Micro-batches of what is drawn, for a model with a pointer head."""
    rendered = list_format(model, tokenizer)

    def batch_of(drawn: Draw, rng: np.random.Generator) -> Batch:
        lengths = {"candidate_tokens": drawn.candidate_tokens, "prefix_tokens": drawn.prefix_tokens}
        if isinstance(drawn.examples, Pairs):
            return pair_batch(rendered, drawn.examples, attends=model.attends, **lengths)
        return training_batch(
            rendered,
            drawn.examples,
            rng,
            budget=config.tokens,
            attention=config.attention,
            attends=model.attends,
            item_factors=model.item_factors,
            **lengths,
        )

    return batch_of


def question_batches(model: PromptedModel, config: SftConfig) -> Callable[[Draw, np.random.Generator], Batch]:
    """Micro-batches of what is drawn, for a language model without a pointer head."""

    def batch_of(drawn: Draw, rng: np.random.Generator) -> Batch:
        if isinstance(drawn.examples, Pairs):
            raise ValueError(
                "pairs are told by the cosine of mean states, which a language model is not asked for: leave "
                "the sources …-pairs out of --weights"
            )
        return model.batch(drawn.examples, rng, config.tokens, drawn.candidate_tokens)

    return batch_of


class _Steps(Dataset[list[tuple[str, Batch]]]):
    """What a maker makes, by the step's number."""

    def __init__(self, make: Maker) -> None:
        self._make = make

    def __getitem__(self, step: int) -> list[tuple[str, Batch]]:
        return self._make(step)


def prefetched(
    make: Maker, start: int, stop: int, processes: int = 0, ahead: int = 2
) -> Iterator[list[tuple[str, Batch]]]:
    """Batches of steps start…stop-1, made while the model works: in a thread, or in so many forked `processes`.

    They are the same batches: each depends on its step alone.
    """
    loader = DataLoader(
        _Steps(make),
        batch_size=None,
        sampler=range(start, stop),
        num_workers=processes,
        multiprocessing_context="fork" if processes else None,
        generator=torch.Generator(),  # the global one's numbers are the model's
    )
    steps = iter(loader)
    with workers(1) as pool:
        waiting = [pool.submit(next, steps) for _ in range(min(ahead, stop - start))]
        for step in range(start, stop):
            batch = waiting.pop(0).result()
            if step + ahead < stop:
                waiting.append(pool.submit(next, steps))
            yield batch


def batch_processes(device: torch.device) -> int:
    """How many processes make batches for a model on `device`.

    A GPU learns faster than one core cuts and tokenises; a CPU has no core to spare, and a thread will do.
    """
    return cores() - 1 if device.type == "cuda" and hasattr(os, "fork") else 0


def cores() -> int:
    """How many this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux alone says
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def workers(count: int) -> ThreadPoolExecutor:
    """Threads that compute alone each, a core a thread."""
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
