"""What stops a GRPO run is told by its cause: a disk, a GPU, memory, a limit."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from trl import GRPOTrainer

from rranker.training.grpo.checkpoints import CheckpointError
from rranker.training.grpo.run import explain, fitting
from rranker.training.grpo.safe_trainer import SafeGRPOTrainer
from rranker.training.policy.prompts import Prompts
from tests.support.checkpoints import TINY_START
from tests.support.toys import toy_cases


def saving(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Exception:
    """What comes out of the trainer when writing a checkpoint raises `error`."""

    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(GRPOTrainer, "_save_checkpoint", fails)
    trainer = SimpleNamespace(
        model=torch.nn.Linear(2, 2),
        state=SimpleNamespace(global_step=3),
        args=SimpleNamespace(output_dir=folder),
    )
    # `super()` in the method looks at the instance's class.
    instance = object.__new__(SafeGRPOTrainer)
    instance.__dict__.update(vars(trainer))
    with pytest.raises(Exception) as found:
        SafeGRPOTrainer._save_checkpoint(instance, None, None)
    return found.value


@pytest.mark.parametrize(
    ("error", "suggests_room"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (SafetensorError("I/O error: No space left on device"), True),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), True),
        (PermissionError(errno.EACCES, "Permission denied"), False),
    ],
)
def test_a_checkpoint_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, suggests_room: bool
) -> None:
    stopped = saving(error, tmp_path, monkeypatch)
    assert isinstance(stopped, CheckpointError)
    assert stopped.__cause__ is error
    said = explain(stopped, tmp_path)
    assert said is not None
    assert str(tmp_path / "checkpoint-3") in said
    assert ("Is the disk full?" in said) == suggests_room


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: device-side assert triggered"),
    ],
)
def test_a_gpu_that_fails_while_saving_is_not_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert saving(error, tmp_path, monkeypatch) is error


def test_when_no_case_fits_the_first_refusal_is_told() -> None:
    prompts = Prompts.load(TINY_START, max_prompt=3)
    with pytest.raises(
        ValueError, match=r"none of 4 cases fits .*max_prompt_tokens 3.* The first one: "
    ) as error:
        fitting(prompts, "exclude", toy_cases(4))
    assert error.value.__cause__ is not None
    assert str(error.value.__cause__) in str(error.value)
