"""Passages, held to what another model makes of them while lists of all kinds are learnt.

Learning a catalogue by heart wears down what a pretrained encoder knows of texts. What it knew is said by the states of
their tokens, far more than by the order of a list. So the states of passages and of their queries are pulled to those
of the model as it was (learning without forgetting, arXiv 1606.09282, with states for outputs).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from rranker.training.examples.sources import PASSAGES
from rranker.training.packing.layout import Layout
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.prompted import PromptedModel

ANCHORED = (*PASSAGES, "cloze")
"""The sources whose texts are held; histories and routes are what is to change."""


@dataclass(frozen=True)
class Anchor:
    """A frozen model, and what a unit of drift from its states adds to the loss."""

    model: RankingModel
    weight: float

    def loss(self, hidden: Tensor, layout: Layout) -> Tensor:
        """hidden [T, D] of the model that learns → its weighted drift, a scalar."""
        with torch.no_grad():
            kept = self.model.hidden(layout)
        texts = int(layout.suffix.min())  # the rows behind are questions about the list
        return self.weight * state_drift(hidden[:texts], kept[:texts])


def state_drift(states: Tensor, kept: Tensor) -> Tensor:
    """[T, D] against [T, D] → the mean of 1 - cos: how far states turned. Similarities do not read their lengths."""
    return (1 - cosine_similarity(states.float(), kept.float(), dim=-1)).mean()


def held_by(model: RankingModel | PromptedModel, config: SftConfig) -> Anchor | None:
    """The anchor that a run of `model` asks for, in its precision and where it is.

    Raises ValueError for one that reads texts otherwise than `model` does.
    """
    if config.anchor is None:
        return None
    if isinstance(model, PromptedModel):
        raise ValueError("an anchor holds the states that a pointer head reads: this language model has none")
    kept = load_model(config.anchor)
    ours, theirs = ({n: p.shape for n, p in m.lm.named_parameters()} for m in (model, kept))
    if ours != theirs or model.attends != kept.attends:
        raise ValueError(
            f"{config.anchor}: an anchor has the shape, vocabulary and attention of the model that it holds; name one "
            "that the start was made of, pruned if the start is"
        )
    like = next(model.lm.parameters())
    kept.to(like.device)
    for parameter in kept.lm.parameters():
        parameter.requires_grad_(False)
        parameter.data = parameter.data.to(like.dtype)
    return Anchor(kept, config.anchor_weight)
