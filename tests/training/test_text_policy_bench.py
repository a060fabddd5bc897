"""The table of what written answers earn, on two small models and a made-up task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import text_policy
from rranker.training.grpo import parse
from rranker.training.grpo.warm_up import imitate
from tests.support.checkpoints import small_tokenizer
from tests.support.toys import options, save_causal_policy, toy_cases


def test_it_tells_what_has_imitated_answers_from_what_never_wrote_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = save_causal_policy(small_tokenizer(), tmp_path / "start")
    changes: dict[str, Any] = {"policy": "text", "lora_rank": 8, "eval_strategy": "no", "learning_rate": 0.02}
    words = options(start, tmp_path / "out", max_steps=30, per_device_train_batch_size=8, **changes)
    imitate(*parse(words), toy_cases(240, n=2))

    cases = list(toy_cases(12, seed=1, n=2).values())
    monkeypatch.setattr("rranker.data.task_cases", lambda task, split: cases)
    folders = [str(start), str(tmp_path / "out" / "final")]
    monkeypatch.setattr(
        sys, "argv", ["text_policy", *folders, "--tasks", "rec-movie", "--limit", "8", "--tokens", "60"]
    )
    text_policy.main()
    name, queries, chance, before, unread, after, read, gap = (
        cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].strip("|").split("|")
    )
    assert (name, queries) == ("rec-movie", "8")
    assert float(chance) == np.mean([0.5] * 8)  # a worse one of two
    assert (before, unread) == ("-0.500 [-0.500, -0.500]", "0%")
    assert int(read.rstrip("%")) > 50
    assert float(gap.split()[0]) == pytest.approx(float(after.split()[0]) + 0.5, abs=0.002)
