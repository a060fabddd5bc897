"""An anchored run wants of passages what its start says of them, and leaves all other lists to their teachers."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.packing.batch import ListBatch, training_batch
from rranker.training.packing.layout import Attends
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.anchor import Anchor, anchor_of
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.loss import list_loss
from rranker.training.sft.step import forward_backward
from tests.support.toy_examples import make_example
from tests.support.toys import save_encoder_policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder_policy(tmp_path_factory.mktemp("start"))


def made(folder: Path, seed: int = 0, task: str = "passage") -> ListBatch:
    rng = np.random.default_rng(seed)
    prompt_format = EncoderFormat(TextEncoder(read_tokenizer(folder)))
    return training_batch(
        prompt_format,
        [make_example(rng, n, task) for n in (5, 3)],
        rng,
        candidate_tokens=9,
        prefix_tokens=12,
        budget=10**6,
        attends=Attends(True, 0.0),
    )


def config(folder: Path, **given: object) -> SftConfig:
    settings = {"start": str(folder), "precision": "fp32", "lm_weight": 0.0, "optimizer": "adamw", **given}
    return SftConfig(**settings)  # type: ignore[arg-type]


def trained(folder: Path, share: float, steps: int = 12) -> RankingModel:
    """By lists whose relevance is drawn at random: nothing but noise to learn."""
    model, run = load_model(folder), config(folder, anchor=share)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    anchor = anchor_of(run, torch.device("cpu"))
    for step in range(steps):
        gradients = forward_backward(model, made(folder, 10 + step), run, step, anchor)[2]
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    return model


def moved(folder: Path, model: RankingModel) -> float:
    """Nats by which the model's choice among the candidates of new lists is off the start's."""
    batch = made(folder, 99)
    start = load_model(folder)
    with torch.no_grad():
        before, after = (
            each.fitness(each.hidden(batch.layout), batch.layout)[:, 0].log_softmax(-1)
            for each in (start, model)
        )
    there = before > -torch.inf
    return float((before.exp() * (before - after))[there].sum())


def test_a_start_that_is_its_own_whole_teacher_has_nothing_to_learn(folder: Path) -> None:
    model, batch = load_model(folder), made(folder)
    taught = Anchor(load_model(folder), 1.0).teach(batch)
    sizes, divergences = [], []
    for given in (taught, batch):
        loss, divergence, _ = list_loss(model, model.hidden(batch.layout), given)
        gradients = torch.autograd.grad(loss, [model.head.w, model.head.W, model.head.scale])
        sizes.append(max(float(gradient.abs().max()) for gradient in gradients))
        divergences.append(abs(divergence))
    # What is left is the state of the other questions, which the start was not asked.
    assert divergences[0] < 1e-4 < 0.1 < divergences[1]
    assert sizes[0] < sizes[1] / 50


def test_only_passages_are_anchored(folder: Path) -> None:
    anchor = Anchor(load_model(folder), 0.5)
    histories = made(folder, task="recommendation")
    assert anchor.teach(histories) is histories
    passages = anchor.teach(made(folder))
    assert passages.teacher_weight.tolist() == [0.5, 0.5]
    assert not torch.equal(passages.teacher_scores, made(folder).teacher_scores)


def test_what_is_anchored_moves_less(folder: Path) -> None:
    free, held = moved(folder, trained(folder, 0.0)), moved(folder, trained(folder, 0.8))
    assert held < free / 2


def test_the_start_stays_what_it_was(folder: Path) -> None:
    start = load_model(folder)
    before = copy.deepcopy(start.state_dict())
    Anchor(start, 0.5).teach(made(folder))
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert not any(parameter.requires_grad for parameter in start.parameters())


def test_without_a_share_there_is_none(folder: Path) -> None:
    assert anchor_of(config(folder), torch.device("cpu")) is None


@pytest.mark.parametrize("given", [{"anchor": 1.0}, {"anchor": -0.1}, {"anchor": 0.5, "start": None}])
def test_a_share_that_means_nothing_is_refused(folder: Path, given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="anchor is the share"):
        replace(config(folder), **given)  # type: ignore[arg-type]
