"""Elimination by the training forward, one round at a time: what the engine's rankings are held to."""

from __future__ import annotations

from dataclasses import replace

import torch

from rranker.data import RankingExample
from rranker.engine.loading.settings import AttentionMode
from rranker.prompts.assemble import PromptFormat
from rranker.training.packing.batch import segments_of
from rranker.training.packing.causal import build_causal_layout
from rranker.training.packing.layout import build_layout
from rranker.training.policy.ranking_model import RankingModel


def order_by_rounds(
    model: RankingModel, prompt_format: PromptFormat, case: RankingExample, attention: AttentionMode = "block"
) -> list[int]:
    """Indices of the candidates, best first; each round is a forward of its own."""
    least = _least_block if attention == "block" else _least_causal
    alive, gone = list(range(len(case.candidates))), []
    while len(alive) > 1:
        gone.append(least(model, prompt_format, case, alive))
        alive.remove(gone[-1])
    return alive + gone[::-1]


@torch.no_grad()
def _least_block(
    model: RankingModel, prompt_format: PromptFormat, case: RankingExample, alive: list[int]
) -> int:
    segments = segments_of(prompt_format, [case], 254, 512, item_factors=model.item_factors)
    mask = torch.zeros(1, len(case.candidates), dtype=torch.bool)
    mask[0, alive] = True
    layout = build_layout(segments, [segments[0].suffix], [mask], attends=model.attends)
    scores = model.fitness(model.hidden(layout), layout)[0, 0]
    return min(alive, key=lambda i: float(scores[i]))


@torch.no_grad()
def _least_causal(
    model: RankingModel, prompt_format: PromptFormat, case: RankingExample, alive: list[int]
) -> int:
    """Over the survivors alone."""
    segments = segments_of(prompt_format, [case], 254, 512)
    left = replace(segments[0], candidates=tuple(segments[0].candidates[i] for i in alive))
    layout = build_causal_layout([left], [left.suffix], [[len(alive)]])
    scores = model.fitness(model.hidden(layout), layout)[0, 0]
    return alive[int(scores.argmin())]
