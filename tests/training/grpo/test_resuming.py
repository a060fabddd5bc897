"""Runs that go on where they stopped: along the same curve, from whole checkpoints, and only as what they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rranker.training.grpo import parse
from rranker.training.grpo.checkpoints import (
    MARK,
    checkpoints,
    drop_partial,
    last_good,
    mark_complete,
    start_from,
)
from rranker.training.policy.network import load_policy
from tests.support.toy_runs import StopAt, run
from tests.support.toys import options


def curve(trainer_or_rows: Any) -> list[tuple[int, str, float]]:
    rows = getattr(trainer_or_rows, "state", trainer_or_rows)
    rows = rows.log_history if hasattr(rows, "log_history") else rows
    names = ("loss", "grad_norm", "reward", "eval_mrr/toy", "entropy", "kl")
    return [(row["step"], name, row[name]) for row in rows for name in names if name in row]


def test_a_resumed_run_goes_on_along_the_same_curve(pointer: Path, tmp_path: Path) -> None:
    """Past the end of the data's first pass (6 steps of 4 prompts of 24), so that the order counts too."""
    longer = {"beta": 0.1, "max_steps": 9}
    whole = run(options(pointer, tmp_path / "whole", **longer))
    half = tmp_path / "half"
    run(options(pointer, half, **longer), [StopAt(6)])
    (half / "checkpoint-8").mkdir()  # cut short: no mark
    again = run(options(pointer, half, **longer, resume=True))
    assert curve(again) == curve(whole)
    assert [p.name for p in checkpoints(half)] == ["checkpoint-8", "checkpoint-9"]
    one, two = (load_policy(folder / "checkpoint-9").lm.state_dict() for folder in (tmp_path / "whole", half))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_only_complete_checkpoints_count(tmp_path: Path) -> None:
    for step, whole in ((2, True), (10, True), (12, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if whole:
            (folder / MARK).touch()
    assert last_good(tmp_path) == tmp_path / "checkpoint-10"
    drop_partial(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2"]
    assert last_good(tmp_path / "checkpoint-2") is None


def test_a_checkpoint_reaches_the_disk_on_windows_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows flushes only what may be written to by the same handle."""
    flushed, flush = [], os.fsync

    def windows(handle: int) -> None:
        os.write(handle, b"")  # as there: EBADF where it is open for reading alone
        flushed.append(flush(handle))

    monkeypatch.setattr(os, "fsync", windows)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    mark_complete(tmp_path, {"seed": 1})
    assert (tmp_path / MARK).exists()
    assert len(flushed) == 2
    assert (tmp_path / "model.safetensors").read_bytes() == b"weights"


def test_a_run_does_not_begin_beside_checkpoints_of_another(pointer: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "checkpoint-200").mkdir(parents=True)
    with pytest.raises(FileExistsError, match=r"--resume true, give another --output_dir, or delete"):
        run(options(pointer, out, max_steps=2))


def test_a_run_resumes_only_with_the_settings_that_it_began_with(pointer: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(options(pointer, out, max_steps=2, eval_strategy="no"))
    other = {"learning_rate": 0.01, "gamma": 0.5}
    with pytest.raises(ValueError, match=r"gamma was 1\.0 and is now 0\.5; learning_rate was 0\.003 and is"):
        run(options(pointer, out, max_steps=2, eval_strategy="no", resume=True, **other))
    # Its length, its evaluations and where it runs are free.
    free = {"max_steps": 3, "eval_steps": 1, "save_steps": 3, "slots": 20000}
    assert run(options(pointer, out, resume=True, **free)).state.global_step == 3


DECIDING = {
    "per_device_train_batch_size": 32,
    "gradient_accumulation_steps": 2,
    "max_completion_length": 9,
    "warmup_steps": 3,
    "lr_scheduler_type": "cosine",
    "weight_decay": 0.1,
    "adam_beta1": 0.8,
    "adam_epsilon": 1e-6,
    "optim": "adamw_torch",
    "max_grad_norm": 0.5,
    "epsilon": 0.1,
    "data_seed": 4,
}


@pytest.mark.parametrize("name", DECIDING)
def test_whatever_decides_a_step_is_the_same_in_a_resumed_run(tmp_path: Path, name: str) -> None:
    words = options(tmp_path, tmp_path / "out")
    arguments, config = parse(words)
    folder = tmp_path / "out" / "checkpoint-2"
    folder.mkdir(parents=True)
    mark_complete(folder, arguments.fixed(config))
    assert start_from(tmp_path / "out", True, arguments.fixed(parse(words)[1])) == folder
    changed = parse([*words, f"--{name}", str(DECIDING[name])])[1]
    with pytest.raises(ValueError, match=rf"{name} was .* and is now {DECIDING[name]!r}"):
        start_from(tmp_path / "out", True, arguments.fixed(changed))


def test_every_step_of_a_run_that_goes_on_longer_has_a_rate(pointer: Path, tmp_path: Path) -> None:
    """The schedule that it began with ended at 0."""
    longer = {"learning_rate": 0.004, "eval_strategy": "no", "save_steps": 1}
    run(options(pointer, tmp_path / "out", max_steps=2, **longer))
    trainer = run(options(pointer, tmp_path / "out", max_steps=4, resume=True, **longer))
    rates = [row["learning_rate"] for row in trainer.state.log_history if "learning_rate" in row]
    assert rates == pytest.approx([0.004, 0.002, 0.002, 0.001])
    two, three = (load_file(tmp_path / "out" / f"checkpoint-{step}" / "model.safetensors") for step in (3, 4))
    assert any(not torch.equal(two[name], three[name]) for name in two)
