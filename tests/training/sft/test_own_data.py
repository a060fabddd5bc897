"""Supervised runs on a user's own files: what they draw, what they start from, and that they resume exactly."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.training.examples.own import Own
from rranker.training.policy.model_config import ModelConfig
from rranker.training.sft.config import SftConfig
from rranker.training.sft.options import OWN_LR, configured, parse
from rranker.training.sft.run import main
from rranker.training.sft.tokenizer import train_tokenizer
from tests.support.own_files import write_own
from tests.support.toys import learnable_cases, save_pointer_policy, toy_cases

MRR = re.compile(r"MRR on (\d+) held-out queries \(\d+ rows\): ([\d.]+) before, ([\d.]+) after")


@pytest.fixture
def words(tmp_path: Path, tokenizer: Any, tiny: ModelConfig) -> list[str]:
    start = save_pointer_policy(tokenizer, tiny, tmp_path / "start")
    return ["--start", str(start), "--precision", "fp32", "--lr", "0.01", "--tokens", "400", "--data"]


@pytest.mark.parametrize("name", ["own.jsonl", "own.parquet"])
def test_a_run_learns_rows_and_says_what_it_brought(
    tmp_path: Path,
    words: list[str],
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("datasets", reason="needs the train extra")
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    data = write_own(tmp_path / name, learnable_cases(120).values())
    main([*words, str(data), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    held_out, before, after = map(float, MRR.findall(said)[0])
    assert 0 < held_out < 40
    assert before < 0.7 < after


def test_a_resumed_run_ends_as_an_uninterrupted_one(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own(tmp_path / "own.jsonl", toy_cases(40).values())
    monkeypatch.chdir(tmp_path)
    steps = [*words, "own.jsonl", "--steps", "6", "--out"]
    main([*steps, "whole"])
    main([*steps, str(tmp_path / "halves"), "--stop-at", "3"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main(["--resume", "--out", str(tmp_path / "halves")])
    whole, halves = (load_file(tmp_path / run / "final" / "model.safetensors") for run in ("whole", "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_a_run_that_diverges_ends_in_a_line_that_names_what_is_left(tmp_path: Path, words: list[str]) -> None:
    data = write_own(tmp_path / "own.jsonl", toy_cases(40).values())
    steps = [*words, str(data), "--optimizer", "adamw", "--lr", "1e30", "--steps", "4", "--out"]
    for out, left in (
        (tmp_path / "one", "No state had been written"),
        (tmp_path / "two", "The last state is"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*steps, str(out), "--save-every", "1" if out.name == "two" else "200"])
        assert re.match(
            rf"Stopped: step \d: .*lower the learning rate. {left}.* give another --out", str(ended.value)
        )


def test_a_resumed_run_reads_by_its_own_tokenizer_and_finds_its_start_from_anywhere(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other tokenizer, which the run was begun with, is gone by then."""
    write_own(tmp_path / "own.jsonl", toy_cases(40).values())
    other = tmp_path / "other"
    train_tokenizer(["river stone cat dog", "tall fox"] * 20, 300).save_pretrained(other)
    monkeypatch.chdir(tmp_path)
    steps = ["--start", "start", *words[2:], "own.jsonl", "--tokenizer", "other", "--steps", "6", "--out"]
    main([*steps, "whole"])
    main([*steps, "halves", "--stop-at", "3"])
    shutil.rmtree(other)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main(["--resume", "--out", str(tmp_path / "halves")])
    whole, halves = (load_file(tmp_path / run / "final" / "model.safetensors") for run in ("whole", "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)
    kept = [(tmp_path / run / "final" / "tokenizer.json").read_bytes() for run in ("whole", "halves")]
    assert kept[0] == kept[1] != (tmp_path / "start" / "tokenizer.json").read_bytes()


def test_models_that_are_there_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "start").mkdir()
    monkeypatch.chdir(tmp_path)
    config = configured(parse(["--start", "start", "--teacher", "someone/of-the-hub"]))
    assert config.start == str(tmp_path / "start")
    assert config.teacher == "someone/of-the-hub"


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_processes_that_make_batches_change_nothing(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_own(tmp_path / "own.jsonl", toy_cases(40).values())
    run = [*words, str(data), "--steps", "3", "--out"]
    main([*run, str(tmp_path / "thread")])
    monkeypatch.setattr("rranker.training.sft.run.batch_processes", lambda device: 2)
    main([*run, str(tmp_path / "processes")])
    one, two = (
        load_file(tmp_path / name / "final" / "model.safetensors") for name in ("thread", "processes")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_own_data_start_from_the_bundled_model_alone_and_at_a_rate_of_their_own() -> None:
    config = configured(parse(["--data", "a.jsonl"]))
    assert (config.start, config.weights, config.lr) == (str(DEFAULT_MODEL), {"own": 1.0}, OWN_LR)
    assert config.data == [str(Path("a.jsonl").resolve())]
    mixed = configured(
        parse(["--data", "a.jsonl", "--weights", "own=1", "squad=2", "--lr", "1", "--start", "x"])
    )
    assert (mixed.start, mixed.weights, mixed.lr) == ("x", {"own": 1.0, "squad": 2.0}, 1.0)
    plain = configured(parse([]))
    assert (plain.start, plain.lr, plain.data) == (None, SftConfig.lr, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "a.jsonl", "--weights", "squad=1"], "a weight for them"),
        (["--weights", "own=1"], "a weight for them"),
    ],
)
def test_files_and_their_weight_go_together(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configured(parse(words))
    with pytest.raises(ValueError, match="train a model that there is"):
        SftConfig(data=["a.jsonl"], weights={"own": 1.0})


def test_what_is_drawn_is_of_one_template_and_taught_by_relevance_alone() -> None:
    toys = list(toy_cases(9).values())
    rows = [row if number % 3 else _as_routing(row) for number, row in enumerate(toys)]
    own, seen = Own(rows), set()
    for seed in range(20):
        examples = own.draw(np.random.default_rng(seed), 4)
        assert len({example.ranking.task for example in examples}) == 1
        for example in examples:
            row = next(row for row in rows if row.query == example.ranking.query)
            best = row.candidates[row.relevance.index(max(row.relevance))]
            assert sorted(example.ranking.candidates) == sorted(row.candidates)
            assert example.ranking.candidates[example.ranking.relevance.index(1.0)] == best
            assert (min(example.ranking.relevance), example.teacher_weight) == (0.0, 0.0)
            seen.add(example.ranking.id)
    assert len(seen) == 9


def _as_routing(row: Any) -> Any:
    return type(row)(
        "routing", row.query, None, row.candidates, [5 * r - 2 for r in row.relevance], row.id + "!"
    )
