"""`--dry-run`: asked for in any spelling, where the run itself could not be, and what it counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rranker.training.grpo import estimate, parse
from rranker.training.grpo.data import prompt_rows
from tests.support.toys import toy_cases

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "configs" / "qwen2.5-3b.yaml"


@pytest.mark.parametrize(
    "words",
    [["--dry_run"], ["--dry-run"], ["--dry_run=true"], ["--dry-run", "true"], ["yaml"]],
    ids=" ".join,
)
def test_an_estimate_needs_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: False)
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG.read_text() + "\ndry_run: true\n" * (words == ["yaml"]))
    given = [] if words == ["yaml"] else words
    arguments, config = parse(["--config", str(path), *given])
    assert (arguments.run.dry_run, config.bf16, config.use_cpu) == (True, True, True)
    if given:
        with pytest.raises(ValueError, match="bf16"):
            parse(["--config", str(path)])


def test_memory_counts_the_adapters_of_every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under checkpointing too, where the activations of one are kept."""
    monkeypatch.setattr(estimate, "matmul_flops", lambda *_: 1e12)
    monkeypatch.chdir(ROOT)

    def memory(rank: int) -> float:
        words = ["--config", str(CONFIG), "--dry_run", "--lora_rank", str(rank)]
        arguments, config = parse(words)
        assert config.activation_checkpointing
        found = estimate.estimate(arguments.policy, arguments.rollout, config, {}, None)
        return float(found["memory (GiB)"])

    layers, width, each = 36, 2048, 12
    more = 64 * 4 * width * 7 * layers * each / 2**30
    assert memory(128) - memory(64) == pytest.approx(more, abs=0.02)


def test_epochs_are_counted_as_the_steps_that_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "matmul_flops", lambda *_: 1e12)
    monkeypatch.chdir(ROOT)
    cases = toy_cases(40)
    words = ["--config", str(CONFIG), "--dry_run", "--max_steps"]
    asked = {"-1": ["-1", "--num_train_epochs", "2"], "7": ["7"]}
    steps = {}
    for most, more in asked.items():
        arguments, config = parse([*words, *more])
        found = estimate.estimate(arguments.policy, arguments.rollout, config, cases, None)
        steps[most] = found["steps"]
        assert found["time on this machine (hours)"] >= 0
    rows = len(prompt_rows(cases, config_of_epochs := parse([*words, *asked["-1"]])[1]))
    chunk = config_of_epochs.generation_batch_size // config_of_epochs.num_generations
    micro_steps = rows // chunk * config_of_epochs.steps_per_generation * config_of_epochs.num_iterations
    assert steps == {"-1": micro_steps // config_of_epochs.gradient_accumulation_steps, "7": 7}
    assert steps["-1"] > 0
