"""What a resumed run keeps of how it was begun, what it may be given anew, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rranker.training.policy.model_config import ModelConfig
from rranker.training.sft.config import SftConfig
from rranker.training.sft.options import configured, parse, saved_settings


def begun(out: Path, **changes: Any) -> SftConfig:
    """The settings of a run that has a state in `out`."""
    config = SftConfig(**{"precision": "fp32", **changes})
    (out / "config.json").write_text(json.dumps(config.to_dict()))
    (out / "state.pt").touch()
    return config


def test_a_resumed_run_keeps_its_settings_but_for_those_that_may_change(
    tmp_path: Path, tiny: ModelConfig
) -> None:
    config = begun(tmp_path, model=tiny, lr=0.5, uniform=0.25)
    said = ["--out", str(tmp_path), "--resume", "--lr", "0.5", "--uniform", "0.25"]  # as it was begun
    options = parse([*said, "--steps", "9", "--weights", "movies=1", "--early", "0.125"])
    resumed = configured(options, saved_settings(tmp_path))
    assert resumed == replace(config, steps=9, weights={"movies": 1.0}, early=0.125)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--lr 3", "--lr was 0.5 and is now 3.0"),
        ("--tokens 3072", "--tokens was 500 and is now 3072"),  # a new run's default
        ("--seed 7", "--seed was 0 and is now 7"),
        ("--save_dtype bfloat16", "--save_dtype was None and is now 'bfloat16'"),
        ("--start nowhere", "--start was None and is now 'nowhere'"),
        ("--teacher nowhere", "--teacher was None and is now 'nowhere'"),
        ("--data rows.jsonl", "--data was None and is now"),
        ("--collections arctic", "--collections was None and is now"),
        ("--layers 3", "--layers was 2 and is now 3"),
        ("--minutes 3", "--minutes 3.0: for runs that begin, and this one is resumed"),
        ("--tokenizer nowhere", "--tokenizer nowhere: for runs that begin, and this one is resumed"),
    ],
)
def test_what_a_resumed_run_may_not_change_is_refused_by_name(
    tmp_path: Path, tiny: ModelConfig, words: str, says: str
) -> None:
    begun(tmp_path, model=tiny, lr=0.5, tokens=500)
    options = parse(["--out", str(tmp_path), "--resume", *words.split()])
    with pytest.raises(ValueError, match=re.escape(says)):
        configured(options, saved_settings(tmp_path))


def test_a_shape_is_a_new_models(tmp_path: Path) -> None:
    options = parse(["--out", str(tmp_path), "--start", "somewhere", "--layers", "2", "--hidden", "64"])
    with pytest.raises(
        ValueError, match=r"--layers 2 and --hidden 64: of a new model, .*starts from somewhere"
    ):
        configured(options)
