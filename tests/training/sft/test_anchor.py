"""An anchor: passages keep the states that another model gives them, and nothing else is held."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.packing.batch import ListBatch, training_batch
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft import train
from rranker.training.sft.anchor import Anchor, held_by, state_drift
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.optimizer import learnt
from rranker.training.sft.prompted import PromptedModel
from rranker.training.sft.step import train_step
from tests.support.checkpoints import TINY_START
from tests.support.toy_examples import make_example
from tests.support.toys import save_encoder_policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder_policy(tmp_path_factory.mktemp("anchor"))


def lists(folder: Path, seed: int) -> ListBatch:
    prompt_format = EncoderFormat(TextEncoder(AutoTokenizer.from_pretrained(folder)))
    rng, attends = np.random.default_rng(seed), load_model(folder).attends
    sizes = {"candidate_tokens": 24, "prefix_tokens": 24, "budget": 4096}
    return training_batch(
        prompt_format, [make_example(rng, 5) for _ in range(4)], rng, attends=attends, **sizes
    )


def settings(folder: Path, **others: float | str) -> SftConfig:
    given = {"steps": 12, "lr": 1e-3, "precision": "fp32", "optimizer": "adamw", "lm_weight": 0.0, **others}
    return SftConfig(start=str(folder), **given)


def gradients(model: RankingModel, batch: ListBatch, name: str, anchor: Anchor | None) -> torch.Tensor:
    sums = [torch.zeros_like(parameter) for _, parameter in learnt(model)]
    with ThreadPoolExecutor(1) as pool:
        train_step(model, [(name, batch)], SftConfig(lm_weight=0.0), 0, pool, sums, anchor)
    return torch.cat([total.flatten() for total in sums])


def test_drift_is_how_far_states_turned() -> None:
    kept = torch.eye(4)
    assert float(state_drift(kept, kept)) == 0.0
    assert float(state_drift(3 * kept, kept)) == 0.0
    assert float(state_drift(-kept, kept)) == 2.0
    assert float(state_drift(kept[[1, 2, 3, 0]], kept)) == 1.0


def test_a_run_with_an_anchor_stays_near_it(folder: Path, tmp_path: Path) -> None:
    tokenizer, unseen = AutoTokenizer.from_pretrained(folder), lists(folder, 99).layout
    texts = int(unseen.suffix.min())
    moved = {}
    for weight in (0.0, 30.0):
        config = settings(folder, anchor=str(folder), anchor_weight=weight)
        model = load_model(folder)
        train(config, tmp_path / str(weight), model, tokenizer, lambda step: [("squad", lists(folder, step))])
        with torch.no_grad():
            moved[weight] = float(
                state_drift(model.hidden(unseen)[:texts], load_model(folder).hidden(unseen)[:texts])
            )
    assert moved[0.0] > 0.05
    assert moved[30.0] < moved[0.0] / 3


def test_it_pulls_passages_alone(folder: Path) -> None:
    """The anchor is a model with other weights, so that there is something to be pulled to."""
    model, batch, kept = load_model(folder), lists(folder, 0), load_model(folder)
    with torch.no_grad():
        for parameter in kept.lm.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    anchor = Anchor(kept, 1.0)
    for name, held in (("movies", False), ("routing", False), ("questions", True), ("cloze", True)):
        free, pulled = (gradients(model, batch, name, a) for a in (None, anchor))
        assert torch.equal(free, pulled) != held, name


def test_it_learns_nothing_itself(folder: Path) -> None:
    model = load_model(folder)
    anchor = held_by(model, settings(folder, anchor=str(folder), anchor_weight=2.0))
    assert anchor is not None
    assert anchor.weight == 2.0
    assert not any(parameter.requires_grad for parameter in anchor.model.lm.parameters())
    assert held_by(model, settings(folder)) is None


def test_one_that_reads_texts_otherwise_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="shape, vocabulary and attention"):
        held_by(load_model(folder), settings(folder, anchor=str(TINY_START)))
    prompted = PromptedModel.__new__(PromptedModel)
    with pytest.raises(ValueError, match="pointer head"):
        held_by(prompted, settings(folder, anchor=str(folder)))


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="anchor_weight must not be negative"):
        SftConfig(anchor_weight=-1.0)
