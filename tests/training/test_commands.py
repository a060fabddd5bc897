"""The trainers' command lines end in one line where their user can mend what is wrong."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from rranker.cli.main import app
from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.training.options import run_command
from tests.support.checkpoints import TINY_START

WRONG = [
    ("grpo", "--validation x.jsonl", "leave --validation x.jsonl out"),
    ("grpo", "--max_steps 3 --num_train_epochs 2", "both say how long a run is: leave one out"),
    ("grpo", "--output_dir FILE", "--output_dir names a folder to write to, and"),
    ("grpo.warm_up", "--use_cpu true", "give --policy text"),
    ("sft", "--validation x.jsonl", "x.jsonl out"),
    ("sft", "--out OUT --resume", "there is nothing to resume in"),
    ("sft", "--out OUT --start NOWHERE --steps 2", "there is no such folder here"),
    ("sft.from_encoder", "NOWHERE OUT", "there is no such folder here"),
    ("sft.from_encoder", "DECODER OUT", "which is not an encoder"),
    (
        "sft.from_encoder",
        "ENCODER OUT",
        "has a pointer head already: give it to python -m rranker.training.sft as --start",
    ),
    ("sft.from_language_model", "NOWHERE OUT", "there is no such folder here"),
    (
        "sft.from_language_model",
        "ENCODER OUT",
        "python -m rranker.training.sft.from_encoder makes a ranker of it",
    ),
    ("sft.late_interaction", "NOWHERE OUT", "there is no such folder here"),
    ("sft.late_interaction", "DECODER OUT", "late interaction is added to a head"),
    ("sft.prune", "NOWHERE OUT", "there is no such folder here"),
    ("sft.prune", "DECODER OUT", "only WordPiece vocabularies have reserved entries"),
    ("sft.average", "NOWHERE NOWHERE OUT", "there is no such folder here"),
    ("sft.average", "DECODER ENCODER OUT", "only a model and what a training made of it can be averaged"),
    ("sft.item_factors", "ENCODER OUT --data x.jsonl", "x.jsonl: cannot read the file"),
    ("sft.item_factors", "ENCODER OUT --tasks rec-movie", "no data folder at"),
    ("calibrate", "NOWHERE", "there is no such folder here"),
    ("calibrate", "DECODER --queries 0", "argument --queries: must be at least 1, not 0"),
    (
        "calibrate",
        "DECODER --out OUT --data x.jsonl --queries 9",
        "all rows of --data are read: leave it out",
    ),
    ("calibrate", "DECODER --out OUT --data x.jsonl", "x.jsonl: cannot read the file"),
]


def words_of(text: str, folder: Path) -> list[str]:
    (folder / "file").write_text("mine")
    named = {"NOWHERE": folder / "nowhere", "OUT": folder / "out", "FILE": folder / "file"}
    named |= {"DECODER": TINY_START, "ENCODER": DEFAULT_MODEL}
    return [str(named.get(word, word)) for word in text.split()]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize(("trainer", "words", "says"), WRONG)
def test_what_the_user_can_mend_is_one_line_and_code_2(
    trainer: str,
    words: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RRANKER_DEBUG", raising=False)
    monkeypatch.setenv("RRANKER_DATA", str(tmp_path / "no-data"))
    monkeypatch.setattr(sys, "argv", ["-m", *words_of(words, tmp_path)])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"rranker.training.{trainer}", run_name="__main__", alter_sys=True)
    assert end.value.code == 2
    said = capsys.readouterr().err
    last = said.strip().splitlines()[-1]
    assert last.startswith(f"python -m rranker.training.{trainer}: error: ")
    assert says in last
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("trainer", "words", "says"), [case for case in WRONG if case[0] in ("sft", "grpo")])
def test_rranker_train_says_the_same(
    trainer: str, words: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        app(["train", trainer, *words_of(words, tmp_path)])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert end.value.code == (66 if "no such folder" in last else 2)
    assert last.startswith("rranker: ")
    assert "Error: " not in last
    assert says in last


EXTRA = "training needs the package 'yaml': pip install 'rranker[train]'"


def test_a_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    words = words_of("--config FILE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["-m", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("rranker.training.sft", run_name="__main__", alter_sys=True)
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith(f"python -m rranker.training.sft: error: {EXTRA}\n")
    with pytest.raises(SystemExit) as end:
        app(["train", "sft", *words])
    assert end.value.code == 69
    assert capsys.readouterr().err == f"rranker: {EXTRA}\n"


@pytest.mark.parametrize("module", ["rranker.training.grpo", "rranker.training.grpo.warm_up"])
def test_training_by_reward_names_the_extra_without_trl(module: str) -> None:
    code = f"import sys; sys.modules['trl'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ImportError: training needs the package 'trl': pip install 'rranker[train]'"


def test_the_traceback_is_there_for_the_asking(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise ValueError("give another")

    monkeypatch.setenv("RRANKER_DEBUG", "1")
    with pytest.raises(SystemExit):
        run_command("it", main)
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("it: error: give another\n")


def test_a_fault_of_the_programs_own_is_no_usage_error() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command("it", lambda: print(1 // 0))
