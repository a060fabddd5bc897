"""How batches reach the model: from processes as from a thread, and onto the device where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rranker.engine.loading.settings import AttentionMode
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.prompts.compact import CompactFormat
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.example import Pairs
from rranker.training.examples.sources import Draw
from rranker.training.packing.batch import training_batch
from rranker.training.packing.layout import Attends
from rranker.training.packing.pairs import pair_batch
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.feeding import Batch, batch_processes, mixture, prefetched
from rranker.training.sft.loss import language_loss
from rranker.training.sft.options import RunOptions, parse, training_device
from rranker.training.sft.step import forward_backward
from tests.support.toy_examples import make_example
from tests.support.toys import save_encoder_policy

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
"""More processes than cores: it says so on a small machine."""


def made(prompt_format: CompactFormat, step: int, attention: AttentionMode = "block") -> Batch:
    rng = np.random.default_rng(step)
    examples = [make_example(rng, 5) for _ in range(3)]
    lengths = {"candidate_tokens": 8, "prefix_tokens": 16}
    return training_batch(prompt_format, examples, rng, budget=4096, attention=attention, **lengths)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
@pytest.mark.parametrize("start", [0, 3])
def test_processes_make_the_batches_that_a_thread_makes(prompt_format: CompactFormat, start: int) -> None:
    def make(step: int) -> list[tuple[str, Batch]]:
        return [(f"step {step}", made(prompt_format, step))]

    ours, theirs = (list(prefetched(make, start, 7, processes)) for processes in (0, 2))
    assert [batches[0][0] for batches in ours] == [f"step {step}" for step in range(start, 7)]
    for one, two in zip(ours, theirs, strict=True):
        assert one[0][0] == two[0][0]
        assert torch.equal(one[0][1].layout.ids, two[0][1].layout.ids)
        assert torch.equal(one[0][1].teacher_scores, two[0][1].teacher_scores)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
@pytest.mark.parametrize("processes", [0, 2])
def test_what_a_batch_raises_reaches_the_run(processes: int) -> None:
    def make(step: int) -> list[tuple[str, Batch]]:
        raise ValueError(f"row {step} is broken")

    with pytest.raises(ValueError, match="row 0 is broken"):
        list(prefetched(make, 0, 4, processes))


class DrawnByName:
    """Sources that say what they were asked for."""

    def __init__(self) -> None:
        self.names = list[str]()

    def draw(
        self, name: str, rng: np.random.Generator, curriculum: float, most: int | None, tokens: int
    ) -> Draw:
        assert tokens == SftConfig.tokens
        self.names.append(name)
        return Draw([make_example(rng, 4)], 8, 16)


@pytest.mark.parametrize(
    ("weights", "first"), [({"squad": 1.0}, {"squad"}), ({"squad": 9.0, "movies": 1.0}, {"movies"})]
)
def test_long_passages_wait_at_first_unless_there_is_nothing_else(
    prompt_format: CompactFormat, tiny: ModelConfig, weights: dict[str, float], first: set[str]
) -> None:
    sources: Any = DrawnByName()
    config = SftConfig(weights=weights, accumulate=8)
    mixture(sources, build_model(tiny), prompt_format.encoder.tokenizer, config)(0)
    assert set(sources.names) == first


def test_without_a_row_to_learn_words_from_the_loss_is_zero(
    prompt_format: CompactFormat, tiny: ModelConfig
) -> None:
    model = build_model(tiny)
    batch = made(prompt_format, 0)
    loss = language_loss(model, model.hidden(batch.layout), batch.layout, share=0.0, seed=0)
    loss.backward()
    assert loss.item() == 0.0


@pytest.mark.parametrize("attention", ["block", "causal"])
def test_a_step_makes_no_tensor_but_where_its_batch_is(
    prompt_format: CompactFormat, tiny: ModelConfig, attention: AttentionMode
) -> None:
    """A tensor made on the default device, here one without data, could not meet the batch's."""
    model = build_model(tiny)
    batch = made(prompt_format, 1, attention).to(torch.device("cpu"))
    with torch.device("meta"):
        divergence, _, gradients = forward_backward(model, batch, SftConfig(attention=attention), 0)
    assert np.isfinite(divergence)
    assert {gradient.device.type for gradient in gradients} == {"cpu"}


def test_an_encoders_lists_and_pairs_stay_where_they_are(tmp_path: Path) -> None:
    save_encoder_policy(tmp_path)
    model, encoder = load_model(tmp_path), TextEncoder(read_tokenizer(tmp_path))
    rng, config = np.random.default_rng(0), SftConfig(lm_weight=0.0)
    lengths = {"candidate_tokens": 8, "prefix_tokens": 16, "attends": model.attends}
    lists = training_batch(EncoderFormat(encoder), [make_example(rng, 4)], rng, budget=4096, **lengths)
    grades = rng.normal(size=(2, 3))
    pairs = Pairs("passage", ["red fox", "dog"], ["blue", "red", "green cat"], np.eye(2, 3), grades, 0.5)
    for batch in (lists, pair_batch(EncoderFormat(encoder), pairs, **lengths)):
        with torch.device("meta"):
            divergence, *_ = forward_backward(model, batch.to(torch.device("cpu")), config, 0)
        assert np.isfinite(divergence)


def test_moving_a_batch_moves_every_tensor_of_it(prompt_format: CompactFormat) -> None:
    batch = made(prompt_format, 0).to(torch.device("meta"))
    held = [*vars(batch).values(), *vars(batch.layout).values()]
    assert {x.device.type for x in held if isinstance(x, torch.Tensor)} == {"meta"}
    assert isinstance(batch.layout.attends, Attends)


def test_where_a_run_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_device(RunOptions(device="cpu")) == torch.device("cpu")
    assert parse(["--device", "cuda:1"]).run.device == "cuda:1"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no GPU"):
        training_device(RunOptions(device="cuda"))
    assert training_device(RunOptions()) == torch.device("cpu")
    assert batch_processes(torch.device("cpu")) == 0
