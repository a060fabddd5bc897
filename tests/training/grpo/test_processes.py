"""Runs in processes of their own: killed without warning, stopped by a full disk, and split in two."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from rranker.training.grpo.checkpoints import checkpoints, last_good
from tests.support import toys
from tests.support.toys import options

NAMES = ("loss", "grad_norm", "reward", "entropy", "eval_mrr/toy")


@dataclass
class Run:
    """A run in a process of its own, and the file that its output goes to."""

    process: ForkServerProcess
    said: Path

    def end(self) -> str:
        """Waits for it, and returns what it printed."""
        self.process.join(240)
        assert self.process.exitcode is not None, "it still runs"
        return self.said.read_text()


def run(words: list[str], said: Path, environment: dict[str, str], file_bytes: int | None) -> None:
    """In the child: `toys.main`, with its output in a file, and a limit on the size of files where one is given."""
    for stream in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ.update(environment)
    if file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    warnings.simplefilter("ignore")
    toys.main(words)


Start = Callable[..., Run]


@pytest.fixture(scope="module")
def server() -> Any:
    """Forks children that have torch, transformers and TRL imported already: each would take seconds over it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(
        [__name__, "rranker.training.grpo.arguments", "rranker.training.grpo.trainer"]
    )
    return context


@pytest.fixture
def start(server: Any, tmp_path: Path) -> Iterator[Start]:
    runs = list[Run]()

    def started(
        words: list[str], environment: dict[str, str] | None = None, file_bytes: int | None = None
    ) -> Run:
        said = tmp_path / f"run-{len(runs)}.log"
        said.touch()
        process = server.Process(target=run, args=(words, said, environment or {}, file_bytes))
        process.start()
        runs.append(Run(process, said))
        return runs[-1]

    yield started
    for one in runs:
        one.process.kill()
        one.process.join()


def finish(one: Run) -> str:
    said = one.end()
    assert one.process.exitcode == 0, said
    return said


def curve(out: Path) -> list[tuple[int, str, float]]:
    rows = json.loads((out / "log.json").read_text())
    return [(row["step"], name, row[name]) for row in rows for name in NAMES if name in row]


def test_killed_three_times_it_ends_on_the_same_curve(start: Start, pointer: Path, tmp_path: Path) -> None:
    """The kills fall wherever the run happens to be: in a step, in an evaluation, or while a checkpoint is written."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    steps = {"max_steps": 40, "save_steps": 2, "eval_steps": 20}
    finish(start(options(pointer, whole, **steps)))
    for wait in (0.0, 0.13, 0.41):
        victim = start(options(pointer, broken, resume=True, **steps))
        seen = last_good(broken)
        while last_good(broken) == seen and victim.process.is_alive():
            time.sleep(0.005)
        time.sleep(wait)
        assert victim.process.is_alive(), "the run was over before it could be killed: give it more steps"
        victim.process.kill()
        victim.end()
        assert victim.process.exitcode == -signal.SIGKILL
    finish(start(options(pointer, broken, resume=True, **steps)))
    assert curve(broken) == curve(whole)
    final = Path("final") / "model.safetensors"
    assert (broken / final).read_bytes() == (whole / final).read_bytes()


def test_a_full_disk_stops_with_a_message_and_the_last_checkpoint(
    start: Start, pointer: Path, tmp_path: Path
) -> None:
    """A limit on file sizes stands for the full disk: the optimiser's state no longer fits, the model does."""
    out = tmp_path / "out"
    finish(start(options(pointer, out, max_steps=2)))
    good = {p.name: p.read_bytes() for p in checkpoints(out)[-1].iterdir()}
    limit = len(good["model.safetensors"]) + 1000
    assert limit < len(good["optimizer.pt"])
    stopped = start(options(pointer, out, max_steps=6, resume=True), file_bytes=limit)
    said = stopped.end()
    assert stopped.process.exitcode == 1
    assert re.search(r"Stopped: .*checkpoint-4 could not be written.*Is the disk full\?", said), said
    assert f"The last good checkpoint is {out / 'checkpoint-2'}" in said
    assert {p.name: p.read_bytes() for p in (out / "checkpoint-2").iterdir()} == good
    finish(start(options(pointer, out, max_steps=6, resume=True)))


def test_two_processes_take_the_first_step_of_one(start: Start, pointer: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    steps = {"max_steps": 1, "eval_strategy": "no", "save_strategy": "no", "beta": 0.1}
    finish(start(options(pointer, one, **steps)))
    words = options(pointer, two, per_device_train_batch_size=8, ddp_backend="gloo", **steps)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What torchrun tells its processes.
    group = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    pair = [start(words, {**group, "RANK": rank, "LOCAL_RANK": rank}) for rank in ("0", "1")]
    for one_of_two in pair:
        finish(one_of_two)
    rows = [json.loads((out / "log.json").read_text())[0] for out in (one, two)]
    for name in ("grad_norm", "reward", "entropy", "rewards/final_mrr/mean", "completions/mean_length"):
        assert rows[1][name] == pytest.approx(rows[0][name], rel=1e-4), name
