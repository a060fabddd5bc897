"""The start of a training as a teacher of what it can do already, so that it is not unlearnt."""

from __future__ import annotations

from dataclasses import replace

import torch

from rranker.training.packing.batch import ListBatch
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.config import SftConfig


class Anchor:
    """Says of searches what the model that a run started from says of them.

    An encoder knows what passages and queries have in common from a thousand times more pairs than a run shows it. The
    part `share` of what is wanted of a list of passages is the start's own softmax over them: a pull to it, by the
    Kullback-Leibler divergence, on the lists that are learnt from.
    """

    def __init__(self, start: RankingModel, share: float) -> None:
        """`start`: as it was, on the device that trains."""
        self._start, self._share = start.eval().requires_grad_(False), share

    @torch.no_grad()
    def teach(self, batch: ListBatch) -> ListBatch:
        """The batch with the start as its teacher, where its lists are searches."""
        if not batch.searches:
            return batch
        hidden = self._start.hidden(batch.layout)
        said = self._start.fitness(hidden, batch.layout, tempered=True)[:, 0]  # of whole lists
        weight = torch.full_like(batch.teacher_weight, self._share)
        return replace(batch, teacher_scores=said, teacher_weight=weight)


def anchor_of(config: SftConfig, device: torch.device) -> Anchor | None:
    """What `config` asks for; None where it asks for none."""
    if not config.anchor or config.start is None:
        return None
    start = load_model(config.start, torch.bfloat16 if config.precision == "bf16" else torch.float32)
    return Anchor(start.to(device), config.anchor)
