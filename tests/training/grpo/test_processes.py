"""Runs in processes of their own: killed without warning, stopped by a full disk, and split in two."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rranker.training.grpo.checkpoints import checkpoints, last_good
from rranker.training.policy.model_config import ModelConfig
from tests.support.toys import options, save_pointer_policy

ROOT = Path(__file__).parents[3]
NAMES = ("loss", "grad_norm", "reward", "entropy", "eval_mrr/toy")


@pytest.fixture
def pointer(tmp_path: Path, tokenizer: Any, tiny: ModelConfig) -> Path:
    return save_pointer_policy(tokenizer, tiny, tmp_path / "start")


def start(words: list[str], launcher: list[str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, *(launcher or []), "-m", "tests.support.toys", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


def curve(out: Path) -> list[tuple[int, str, float]]:
    rows = json.loads((out / "log.json").read_text())
    return [(row["step"], name, row[name]) for row in rows for name in NAMES if name in row]


@pytest.mark.slow
def test_killed_three_times_it_ends_on_the_same_curve(pointer: Path, tmp_path: Path) -> None:
    """The kills fall wherever the run happens to be: in a step, in an evaluation, or while a checkpoint is written."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    steps = {"max_steps": 40, "save_steps": 2, "eval_steps": 20}
    reference = start(options(pointer, whole, **steps))
    finish(reference)
    waits = (0.0, 0.13, 0.41)
    for wait in waits:
        victim = start(options(pointer, broken, resume=True, **steps))
        seen = last_good(broken)
        while last_good(broken) == seen and victim.poll() is None:
            time.sleep(0.005)
        time.sleep(wait)
        assert victim.poll() is None, "the run was over before it could be killed: give it more steps"
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
    finish(start(options(pointer, broken, resume=True, **steps)))
    assert curve(broken) == curve(whole)
    final = Path("final") / "model.safetensors"
    assert (broken / final).read_bytes() == (whole / final).read_bytes()


def test_a_full_disk_stops_with_a_message_and_the_last_checkpoint(pointer: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: the optimiser's state no longer fits, the model does."""
    out = tmp_path / "out"
    finish(start(options(pointer, out, max_steps=2)))
    good = {p.name: p.read_bytes() for p in checkpoints(out)[-1].iterdir()}
    limit = len(good["model.safetensors"]) + 1000
    assert limit < len(good["optimizer.pt"])
    launcher = [
        "-c",
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); sys.argv = sys.argv[2:]; "
        "runpy.run_module('tests.support.toys', run_name='__main__')",
    ]
    process = start(options(pointer, out, max_steps=6, resume=True), launcher)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.search(r"Stopped: .*checkpoint-4 could not be written.*Is the disk full\?", said), said
    assert f"The last good checkpoint is {out / 'checkpoint-2'}" in said
    assert {p.name: p.read_bytes() for p in (out / "checkpoint-2").iterdir()} == good
    finish(start(options(pointer, out, max_steps=6, resume=True)))


def test_two_processes_take_the_first_step_of_one(pointer: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    steps = {"max_steps": 1, "eval_strategy": "no", "save_strategy": "no", "beta": 0.1}
    finish(start(options(pointer, one, **steps)))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    finish(start(options(pointer, two, per_device_train_batch_size=8, ddp_backend="gloo", **steps), launcher))
    rows = [json.loads((out / "log.json").read_text())[0] for out in (one, two)]
    for name in ("grad_norm", "reward", "entropy", "rewards/final_mrr/mean", "completions/mean_length"):
        assert rows[1][name] == pytest.approx(rows[0][name], rel=1e-4), name
