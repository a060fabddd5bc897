"""How long a run goes on: within the time it is given, trials included."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.duration import steps_for, steps_for_passes

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


def test_passes_count_the_lists_that_steps_hold() -> None:
    batches: Any = [
        ("own", SimpleNamespace(relevance=range(3))),
        ("own", SimpleNamespace(relevance=range(5))),
    ]
    assert steps_for_passes(4, 100, lambda step: batches) == 50
    assert steps_for_passes(0.01, 100, lambda step: batches) == 1
