"""What a run brought on rows that were held out: which are measured, and how sure the difference is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rranker.training.sft.held_out import HeldOut
from rranker.training.sft.prompted import load_prompted_model, save_prompted_model
from tests.support.checkpoints import small_tokenizer
from tests.support.toys import save_causal_policy, toy_cases


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal_policy(small_tokenizer(), tmp_path_factory.mktemp("language-model"))


def test_where_nothing_was_held_out_it_says_so() -> None:
    assert "--validation" in HeldOut("a", [], "iranker").report("b")


def test_rows_of_one_query_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many draws of each query as one likes make the interval no narrower."""
    cases = list(toy_cases(12).values())
    ranks: dict[str, dict[str, float]] = {"before": {}, "after": {}}
    for number, case in enumerate(cases):
        ranks["before"][case.query], ranks["after"][case.query] = 1 / (2 + number % 2), 1 / (1 + number % 3)

    def measured(model: str, examples: list[Any], method: str) -> tuple[np.ndarray, list[str]]:
        return np.array([ranks[model][example.query] for example in examples]), []

    monkeypatch.setattr("rranker.training.sft.held_out.reciprocal_ranks_of", measured)
    once, often = (HeldOut("before", rows, "iranker").report("after") for rows in (cases, cases * 30))
    assert f"({len(cases)} rows)" in once
    assert f"({30 * len(cases)} rows)" in often
    assert often.replace(f"({30 * len(cases)} rows)", f"({len(cases)} rows)") == once


def test_rows_that_the_start_refuses_are_left_out_before_anything_trains(
    start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = list(toy_cases(4).values())
    long = replace(good[0], query="red " * 15_000, id="row-7")
    held_out = HeldOut(start, [long, *good], "iranker")
    said = capsys.readouterr().out
    assert "1 of 5 rows that are held out cannot be ranked and are left out" in said
    assert "row-7" in said
    report = held_out.report(start)
    assert "(4 rows)" in report
    assert "difference +0.000 [+0.000, +0.000]" in report
    with pytest.raises(ValueError, match=r"1 of 1 rows .*(\n.*)*--validation file"):
        HeldOut(start, [long], "iranker")


def test_rows_that_the_trained_model_alone_refuses_are_left_out_of_both(start: Path, tmp_path: Path) -> None:
    """As one of a shorter context may."""
    after = shutil.copytree(start, tmp_path / "after")
    config = json.loads((after / "config.json").read_text())
    (after / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 400}))
    good = list(toy_cases(4).values())
    long = replace(good[0], query="red " * 400, id="row-7")
    report = HeldOut(start, [long, *good], "iranker").report(after)
    assert "1 of 5 rows that are held out cannot be ranked by the trained model" in report
    assert "row-7" in report
    assert "(4 rows)" in report
    assert "row-7" in HeldOut(start, [long], "iranker").report(after)


def test_before_and_after_are_ranked_by_the_method_that_is_trained(start: Path, tmp_path: Path) -> None:
    """Weights that training left as they were bring nothing, whatever method either folder names as its own."""
    save_prompted_model(load_prompted_model(start, "causal", "iranker"), tmp_path / "before")
    save_prompted_model(load_prompted_model(start, "causal", "query_likelihood"), tmp_path / "after")
    cases = list(toy_cases(12).values())
    methods = ("iranker", "query_likelihood")
    reports = [HeldOut(tmp_path / "before", cases, method).report(tmp_path / "after") for method in methods]
    assert all("difference +0.000 [+0.000, +0.000]" in report for report in reports)
    assert reports[0] != reports[1]
