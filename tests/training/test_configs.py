"""The YAML files that the docs name: the trainer takes each of them, and tiny's start is a policy to train."""

from __future__ import annotations

from pathlib import Path

import pytest

from rranker.training.grpo import parse
from rranker.training.policy.network import load_policy

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_configuration_is_taken_whole(path: Path) -> None:
    arguments, config = parse(["--config", str(path), "--use_cpu", "true", "--bf16", "false"])
    assert sum(arguments.data.weights().values()) == pytest.approx(1)
    assert config.max_steps > 0
    assert config.save_steps <= config.max_steps


def test_there_are_the_three_that_the_docs_name() -> None:
    assert [path.stem for path in FILES] == ["default", "qwen2.5-3b", "tiny"]


def test_the_tiny_run_starts_from_a_small_model_that_is_here() -> None:
    arguments, _ = parse(["--config", str(ROOT / "configs" / "tiny.yaml")])
    policy = load_policy(ROOT / arguments.policy.model)
    assert policy.settings.readout == "pointer"
    assert sum(p.numel() for p in policy.lm.parameters()) < 2e6
