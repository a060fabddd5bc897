"""`rranker evaluate`: figures and comparisons are the library's; and what else the command line says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import rranker
from rranker.metrics import evaluate, paired_randomisation, read_run, write_run
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]


def test_means_and_comparisons_are_those_of_the_library(run: Run, beir: Path, tmp_path: Path) -> None:
    first, other = beir / "run.txt", tmp_path / "reversed.txt"
    write_run(other, {q: {d: -s for d, s in docs.items()} for q, docs in read_run(first).items()})
    qrels = beir / "qrels.txt"
    done = run("evaluate", qrels, first, other, "-m", "nDCG@3", "-m", "RR", "-f", "json")
    assert done.exit_code == 0, done.stderr
    records = json.loads(done.stdout)
    results = [evaluate(qrels, path, ["nDCG@3", "RR"]) for path in (first, other)]
    assert [record["means"] for record in records] == [dict(result) for result in results]
    for measure in ("nDCG@3", "RR"):
        test = paired_randomisation(results[1].per_query(measure), results[0].per_query(measure))
        said = records[1]["against_first"][measure]
        assert (said["difference"], said["p_value"], said["queries"]) == (test.difference, test.p_value, 6)
    table = run("evaluate", qrels, first, "-", "-m", "nDCG@3", input=other.read_text()).stdout
    assert f"{results[0]['nDCG@3']:.4f}" in table
    assert f"{results[1]['nDCG@3'] - results[0]['nDCG@3']:+.4f}" in table


def test_runs_whose_files_have_one_name_are_told_apart(run: Run, beir: Path, tmp_path: Path) -> None:
    names = [tmp_path / folder / "run.txt" for folder in "ab"] + [tmp_path / "other.txt"]
    for name in names:
        name.parent.mkdir(exist_ok=True)
        name.write_bytes((beir / "run.txt").read_bytes())
    table = run("evaluate", beir / "qrels.txt", *names, "-m", "RR").stdout
    assert all(str(name) in table for name in names[:2])
    assert str(names[2]) not in table
    assert "other.txt" in table


def test_the_judgements_may_come_from_stdin(run: Run, beir: Path) -> None:
    judged = (beir / "qrels.txt").read_bytes()
    said = run("evaluate", "-", beir / "run.txt", "-f", "json", input=judged)
    assert (said.exit_code, said.stdout) == (
        0,
        run("evaluate", beir / "qrels.txt", beir / "run.txt", "-f", "json").stdout,
    )
    both = run("evaluate", "-", "-", input=judged)
    assert (both.exit_code, both.stdout) == (65, "")
    assert "stdin holds the qrels or a run, not both" in both.stderr


def test_a_malformed_row_is_named(run: Run, beir: Path, tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("q1 Q0 d1 1 2.0 x\nq1 Q0 d2\n")
    done = run("evaluate", beir / "qrels.txt", tmp_path / "run.txt")
    assert (done.exit_code, done.stdout) == (65, "")
    assert f"{tmp_path / 'run.txt'}, line 2" in done.stderr or "run.txt:2" in done.stderr


def test_info_says_what_ranks_and_why(run: Run) -> None:
    said = json.loads(run("info", "-f", "json", "--dtype", "float32").stdout)
    assert (said["model"], said["dtype"], said["dtype, why"]) == ("default", "float32", "asked for")
    assert said["rranker"] == rranker.__version__
    assert said["device, why"]


def test_the_trainers_words_are_their_own(run: Run) -> None:
    pytest.importorskip("trl", reason="needs what trains: pip install 'rranker[train]'")
    for trainer in ("sft", "grpo"):
        done = run("train", trainer, "--help")
        assert done.exit_code == 0
        assert f"usage: python -m rranker.training.{trainer}" in done.stdout
    wrong = run("train", "sft", "--no-such-option", "3")
    assert wrong.exit_code == 2
    assert "--no-such-option" in wrong.stderr


def test_the_script_starts_the_command_line_and_help_needs_no_framework() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["rranker"].partition(":")
    assert callable(getattr(import_module(module), name))
    code = (
        "import sys; from rranker.cli.main import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'fastapi'} & set(sys.modules), 'too much for a help text'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rerank" in done.stdout
