"""Every example runs as its first line says, and prints what it is there to show."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_server import completion, serving

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
Run = Callable[..., str]


def run_fresh(name: str) -> str:
    """What it prints, started by its name from the root with no data folder in sight."""
    hidden = {key: value for key, value in os.environ.items() if key != "RRANKER_DATA"}
    command = [sys.executable, EXAMPLES / name]
    done = subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def play(name: str, arguments: list[str], folder: Path) -> None:
    """In a process of its own: all that Python does with a script that it is started with."""
    for number, stream in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.pop("RRANKER_DATA", None)
    os.chdir(ROOT)
    sys.argv = [str(EXAMPLES / name), *arguments]
    sys.path.insert(0, str(EXAMPLES))
    runpy.run_path(sys.argv[0], run_name="__main__")


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """As `run_fresh`, in a process forked from one that has imported torch and transformers, and loaded no model."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "rranker.ranker", "transformers.models.bert.modeling_bert"])

    def started(name: str, *arguments: str | Path) -> str:
        folder = tmp_path_factory.mktemp("said")
        process = context.Process(target=play, args=(name, list(map(str, arguments)), folder))
        process.start()
        process.join()
        assert process.exitcode == 0, (folder / "err").read_text()[-4000:]
        return (folder / "out").read_text()

    return started


def test_every_example_has_a_test_here_and_says_how_it_is_run() -> None:
    names = sorted(path.name for path in EXAMPLES.glob("*.py"))
    tests = Path(__file__).read_text(encoding="utf-8")
    assert len(names) == 11
    for name in names:
        opening = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()[0]
        assert f"python examples/{name}" in opening
        assert f'run("{name}"' in tests or f'run_fresh("{name}"' in tests


def test_search_prints_a_whole_ranking_and_its_rounds() -> None:
    said = run_fresh("01_search.py")
    assert sorted(re.findall(r"-> +place (\d)", said)) == ["1", "2", "3", "4", "5"]
    gone = re.findall(r"round \d: ([\w-]+) goes", said)
    assert len(set(gone)) == 4
    assert re.search(r"With top_k=1 3 rounds are played, not 4", said)


def test_recommendation_ranks_three_users_and_names_the_fault_of_the_fourth(run: Run) -> None:
    lines = dict(line.split(": ", 1) for line in run("02_recommendation.py").splitlines())
    assert list(lines) == ["ada", "ben", "eve", "max"]
    assert {lines[user].count("(1") for user in ("ada", "ben", "eve")} == {3}
    assert "Predator" in lines["ada"]
    assert lines["max"].startswith("TypeError: queries[3] (id 'max'): query[0] must be a string")


def test_routing_follows_the_instruction(run: Run) -> None:
    said = run("03_routing.py")
    orders = [line.split() for line in said.splitlines() if " > " in line]
    assert [len(order) for order in orders] == [9, 9, 9]
    assert orders[0][0] == "gpt-4-turbo"  # where cost does not count
    assert orders[2][-1] == "gpt-4-turbo"  # where it counts most: it is the dearest


def test_own_model_says_that_it_made_one_up_and_takes_a_folder(run: Run) -> None:
    said = run("04_own_model.py")
    assert said.startswith("no model was named, so this is a tiny one with random weights")
    encoded, naive = map(int, re.findall(r"(\d+) tokens encoded, where .* takes (\d+)", said)[0])
    assert encoded < naive
    named = run("04_own_model.py", ROOT / "configs" / "tiny-start")
    assert "random weights" not in named
    assert "Ranking of 4 by iranker" in named


def test_evaluation_prints_both_stages_and_reads_files(run: Run, tmp_path: Path) -> None:
    table = [line.split() for line in run("05_evaluate_a_run.py").splitlines()]
    assert table[0] == ["nDCG@10", "RR", "AP", "P@1"]
    assert table[1] == ["first", "stage", "0.7072", "0.6667", "0.6667", "0.3333"]
    assert float(table[2][2]) > 0.6667
    (tmp_path / "qrels").write_text("q1 0 a 1\nq1 0 b 0\n")
    (tmp_path / "run").write_text("q1 Q0 b 1 2.0 mine\nq1 Q0 a 2 1.0 mine\n")
    figures = run("05_evaluate_a_run.py", tmp_path / "qrels", tmp_path / "run").split()
    assert figures[-4:] == ["0.6309", "0.5000", "0.5000", "0.0000"]


@pytest.mark.slow
def test_training_on_own_data_learns_it_and_leaves_a_model(run: Run, tmp_path: Path) -> None:
    said = run("06_train_on_own_data.py", tmp_path, "--steps", "10")  # a third of its own
    before, after = map(float, re.findall(r"([\d.]+) before, ([\d.]+) after", said)[0])
    assert before + 0.2 < after
    assert after > 0.9
    assert re.search(r"^ +1 .*blue kite, second-hand$", said, re.M)
    assert len((tmp_path / "searches.jsonl").read_text().splitlines()) == 200
    assert (tmp_path / "final" / "config.json").is_file()


def test_a_method_of_ones_own_plays_its_duels(run: Run) -> None:
    assert len((EXAMPLES / "07_own_method.py").read_text(encoding="utf-8").splitlines()) <= 40
    said = run("07_own_method.py")
    duels = re.findall(r"^(.+\)) beats (.+\))$", said, re.M)
    assert len({loser for _, loser in duels}) == 4
    assert "Ranking of 5 by champion" in said
    champion = re.findall(r"^ +1 .*\] (.+)$", said, re.M)
    assert champion == [duels[-1][0]]


def test_a_scorer_of_ones_own_ranks_and_its_gaps_are_reported(run: Run) -> None:
    said = run("08_own_scorer.py")
    assert re.search(r"^ +1 .*Rings circle several outer planets", said, re.M)
    assert said.count("repaired (missing)") == 2


def test_streaming_prints_rounds_as_they_come_and_ranks_from_async_code(run: Run) -> None:
    said = run("09_streaming.py")
    assert re.findall(r"round (\d) of (\d)", said) == [("1", "4"), ("2", "3"), ("3", "2")]
    best = re.findall(r"^best: (.+)$", said, re.M)[0]
    assert f"{best!r} goes" not in said
    assert "what is honey made of? -> Honey is made" in said
    assert re.search(r"^The first to go is \d; the rest is not asked", said, re.M)


def test_a_remote_model_ranks_and_says_what_it_took(run: Run) -> None:
    pytest.importorskip("openai", reason="needs the extra openai")

    def answer(path: str, body: dict[str, Any]) -> dict[str, Any]:
        candidates = re.findall(r"^\[([A-Z])\] (.*)$", body["messages"][0]["content"], re.MULTILINE)
        letter = min(candidates, key=lambda one: "Saturn" in one[1] or "scent" in one[1])[0]
        return completion(letter, tokens=[(letter, {letter: -0.1, "x": -3.0})], usage=(50, 1, 0))

    with serving(answer) as server:
        said = run("10_remote_model.py", server.url, "stand-in")
    assert re.findall(r"^ +1 .*\] (.+)$", said, re.M) == [
        "Saturn's rings are ice.",
        "Flowers attract bees with colour and scent.",
    ]
    assert "3 calls, 153 tokens" in said


@pytest.mark.pretrained
def test_a_model_thinks_aloud_and_its_rounds_are_printed(run: Run, smollm2: Path) -> None:
    said = run("11_reasoning.py", smollm2, "6")
    assert len(re.findall(r"^round \d: \S.*\n  -> out: ", said, re.M)) == 4
    assert len(re.findall(r"^best: ", said, re.M)) == 2
    assert len(re.findall(r"^\d+ tokens written in \d+ passes$", said, re.M)) == 2
