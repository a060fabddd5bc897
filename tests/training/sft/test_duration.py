"""How long a run goes on: within the time it is given, trials and anchor included."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rranker.prompts.compact import CompactFormat
from rranker.training.packing.batch import training_batch
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft.anchor import Anchor
from rranker.training.sft.config import SftConfig
from rranker.training.sft.duration import steps_for, steps_for_passes
from tests.support.toy_examples import make_example
from tests.support.toys import save_pointer_policy

SECONDS = 2.0
"""What a step takes on the clock below."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes by steps alone."""
    now = [0.0]

    def step(*_: Any) -> None:
        now[0] += SECONDS

    monkeypatch.setattr("rranker.training.sft.duration.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("rranker.training.sft.duration.train_step", step)


@pytest.mark.parametrize(("steps", "expected"), [(3, 1), (20, 12), (507, 462)])
def test_trials_and_steps_fit_in_the_time_given(
    clock: None, tiny: ModelConfig, steps: int, expected: int
) -> None:
    """Seven steps are tried; the rest is divided by 1.08 of a step. No warm-up makes a run longer."""
    config, model = SftConfig(warmup=40, precision="fp32"), build_model(tiny)
    assert steps_for(steps * SECONDS / 60, config, model, lambda step: []) == expected


def test_what_is_timed_is_held_by_the_anchor(
    tmp_path: Path,
    prompt_format: CompactFormat,
    tiny: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = save_pointer_policy(prompt_format.encoder.tokenizer, tiny, tmp_path / "anchor")
    model, asked = build_model(tiny), list[bool]()
    kept = Anchor.loss

    def loss(anchor: Anchor, *inputs: Any) -> torch.Tensor:
        asked.append(True)
        return kept(anchor, *inputs)

    def make(step: int) -> list[tuple[str, Any]]:
        rng = np.random.default_rng(step)
        sizes = {"candidate_tokens": 8, "prefix_tokens": 16, "budget": 4096}
        return [("squad", training_batch(prompt_format, [make_example(rng, 4)], rng, **sizes))]

    monkeypatch.setattr(Anchor, "loss", loss)
    steps_for(
        0.001, SftConfig(start=str(folder), anchor=str(folder), precision="fp32"), model, make, trials=2
    )
    assert len(asked) == 3


def test_passes_count_the_lists_that_steps_hold() -> None:
    batches: Any = [
        ("own", SimpleNamespace(relevance=range(3))),
        ("own", SimpleNamespace(relevance=range(5))),
    ]
    assert steps_for_passes(4, 100, lambda step: batches) == 50
    assert steps_for_passes(0.01, 100, lambda step: batches) == 1
