"""The YAML files that the docs name: the trainer takes each of them, and tiny's start is a policy to train."""

from __future__ import annotations

from pathlib import Path

import pytest

from rranker.data import COLLECTIONS
from rranker.training.grpo import parse
from rranker.training.policy.network import load_policy
from rranker.training.sft.options import configured
from rranker.training.sft.options import parse as parse_sft

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "configs").glob("*.yaml"))
SFT = sorted((ROOT / "configs" / "sft").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_configuration_is_taken_whole(path: Path) -> None:
    arguments, config = parse(["--config", str(path), "--use_cpu", "true", "--bf16", "false"])
    assert sum(arguments.data.weights().values()) == pytest.approx(1)
    assert config.max_steps > 0
    assert config.save_steps <= config.max_steps
    arguments.check(config)


@pytest.mark.parametrize("path", SFT, ids=lambda path: path.stem)
def test_a_configuration_of_supervised_training_is_taken_whole(path: Path) -> None:
    config = configured(parse_sft(["--config", str(path)]))
    assert sum(config.weights.values()) == pytest.approx(1)
    assert config.start is not None
    assert set(config.collections or ()) <= set(COLLECTIONS)


def test_the_permissive_one_draws_from_what_may_be_used_commercially_alone() -> None:
    config = configured(parse_sft(["--config", str(ROOT / "configs" / "sft" / "permissive.yaml")]))
    assert set(config.weights) == {"routing", "cloze", "squad", "questions"}
    assert config.collections
    assert all(COLLECTIONS[name].permissive for name in config.collections)


def test_the_docs_name_all() -> None:
    pages = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert FILES
    assert [path.stem for path in FILES if f"configs/{path.name}" not in pages] == []


def test_the_tiny_run_starts_from_a_small_model_that_is_here() -> None:
    arguments, _ = parse(["--config", str(ROOT / "configs" / "tiny.yaml")])
    policy = load_policy(ROOT / arguments.policy.model)
    assert policy.settings.readout == "pointer"
    assert sum(p.numel() for p in policy.lm.parameters()) < 2e6
