"""GRPO on a user's own files: whole runs, their shares of a mixture, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rranker.data import Question, RankingExample, read_examples
from rranker.training.grpo.arguments import DataArguments, EvaluationArguments
from rranker.training.grpo.data import QUESTIONS, held_out, mixture
from rranker.training.grpo.run import main
from rranker.training.policy.model_config import ModelConfig
from tests.support.own_files import write_own
from tests.support.toys import options, save_causal_policy, save_pointer_policy, toy_cases


@pytest.mark.parametrize("name", ["own.jsonl", "own.parquet"])
def test_a_run_trains_resumes_and_evaluates_on_what_was_held_out(
    tmp_path: Path, tokenizer: Any, tiny: ModelConfig, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    start = save_pointer_policy(tokenizer, tiny, tmp_path / "start")
    data = write_own(tmp_path / name, toy_cases(60).values())
    out = tmp_path / "out"
    main([*options(start, out, max_steps=2, eval_steps=2), "--data", str(data)])
    main([*options(start, out, max_steps=4, eval_steps=2, resume=True), "--data", str(data)])
    log = json.loads((out / "log.json").read_text())
    assert [row["step"] for row in log if "eval_mrr/own" in row] == [0, 2, 4]
    first, last = (load_file(folder / "model.safetensors") for folder in (start, out / "final"))
    assert any(not torch.equal(first[key], last[key]) for key in first)


def test_own_rows_alone_come_once_less_what_is_held_out(tmp_path: Path) -> None:
    data = write_own(tmp_path / "own.jsonl", toy_cases(30).values())
    alone = DataArguments(data=[str(data)])
    assert alone.weights() == {"own": 1.0}
    cases = mixture(alone, seed=0)
    held = held_out(alone, EvaluationArguments(), seed=0)["own"]
    assert len(cases) + len(held) == 30
    assert {c.query for c in cases.values()}.isdisjoint(c.query for c in held)


def test_every_task_of_a_mixture_has_the_share_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few its cases are: they come again, each as often, pass after pass in another order."""
    data = write_own(tmp_path / "own.jsonl", toy_cases(30).values())
    misses = tuple(f"miss {i}" for i in range(6))
    questions = [Question(f"q{i}", f"question {i}", (f"good {i}",), misses) for i in range(20)]
    monkeypatch.setitem(QUESTIONS, "classic", lambda: questions)
    options = DataArguments(data=[str(data)], tasks=["own=1", "classic=3"], cases=400)
    cases = mixture(options, 0)
    ids = [case.id for key, case in cases.items() if key.startswith("classic/")]
    assert (len(cases), len(ids)) == (400, 300)
    times = Counter(ids)
    assert max(times.values()) - min(times.values()) <= 1
    size = len(times)
    assert sorted(ids[:size]) == sorted(ids[size : 2 * size]) == sorted(times)
    assert ids[:size] != ids[size : 2 * size] != ids[2 * size : 3 * size]
    assert mixture(options, 0) == cases
    parts = [case for key, case in mixture(options, 0, single=True).items() if key.startswith("classic/")]
    assert len({tuple(part.candidates) for part in parts if part.id == ids[0]}) > 1


def test_a_held_out_row_that_does_not_fit_is_left_out_before_training(
    tmp_path: Path, tokenizer: Any, tiny: ModelConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    start = save_pointer_policy(tokenizer, replace(tiny, max_position_embeddings=300), tmp_path / "start")
    data = write_own(tmp_path / "own.jsonl", toy_cases(20).values())
    rows = list(toy_cases(4, seed=1).values())
    long = replace(rows[0], query="fox " * 400, id="long")
    validation = write_own(tmp_path / "held.jsonl", [*rows, long])
    words = options(start, tmp_path / "out", max_steps=1, eval_steps=1)
    main([*words, "--data", str(data), "--validation", str(validation)])
    assert "4 of 5 held-out cases of own fit the checkpoint; the first" in capsys.readouterr().out
    log = json.loads((tmp_path / "out" / "log.json").read_text())
    assert [row["step"] for row in log if "eval_mrr/own" in row] == [0, 1]
    write_own(validation, [long])
    words = options(start, tmp_path / "other", max_steps=1, eval_steps=1)
    with pytest.raises(ValueError, match=r"none of 1 held-out cases of own fits .* --eval_strategy no"):
        main([*words, "--data", str(data), "--validation", str(validation)])


def test_rows_of_one_query_count_once_in_an_evaluation(
    tmp_path: Path, tokenizer: Any, tiny: ModelConfig
) -> None:
    """As many draws of one query as a file has, and whatever ids they have, weigh no more than another query."""
    start = save_pointer_policy(tokenizer, tiny, tmp_path / "start")
    data = write_own(tmp_path / "own.jsonl", toy_cases(20).values())

    def figures(name: str, rows: list[RankingExample]) -> dict[str, float]:
        held = write_own(tmp_path / f"{name}.jsonl", rows)
        words = options(start, tmp_path / name, max_steps=1, eval_steps=1, save_strategy="no")
        main([*words, "--data", str(data), "--validation", str(held)])
        first = json.loads((tmp_path / name / "log.json").read_text())[0]
        return {name: value for name, value in first.items() if name.startswith("eval_")}

    rows = list(toy_cases(6, seed=1).values())
    often = [*rows, *(replace(rows[0], id=f"again-{i}") for i in range(9))]
    once = figures("once", rows)
    assert figures("often", often) == pytest.approx(once)
    assert 0 < once["eval_mrr/own"] < 1


def test_a_text_policy_says_how_many_cases_train_and_why_others_do_not(
    tmp_path: Path, tokenizer: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = save_causal_policy(tokenizer, tmp_path / "start")
    rows = list(toy_cases(20).values())
    long = [replace(rows[0], query="fox " * 900, id=f"long-{i}") for i in range(3)]
    data = write_own(tmp_path / "own.jsonl", [*rows, *long])
    held = write_own(tmp_path / "held.jsonl", toy_cases(2, seed=1).values())
    trained: dict[str, RankingExample] = {}
    monkeypatch.setattr(
        "rranker.training.grpo.text.train_text", lambda arguments, config, cases, held: trained.update(cases)
    )
    words = options(start, tmp_path / "out", policy="text", max_prompt_tokens=1200)
    main([*words, "--data", str(data), "--validation", str(held)])
    said = capsys.readouterr().out
    assert "23 cases drawn" in said
    assert "20 of 23 training cases fit; the first that does not: the prompt of 'long-" in said
    assert len(trained) == 20


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="go together"):
        DataArguments(tasks=["own=1"]).weights()
    with pytest.raises(ValueError, match="go together"):
        DataArguments(tasks=["squad"], data=["a.jsonl"]).weights()
    with pytest.raises(ValueError, match=r"leave --validation held\.jsonl out"):
        DataArguments(validation="held.jsonl").weights()
    with pytest.raises(ValueError, match=r"name=weight \(squad=0\.5\), not 'squad=much'"):
        DataArguments(tasks=["squad=much"]).weights()
    data = write_own(tmp_path / "own.jsonl", toy_cases(30).values())
    own = DataArguments(data=[str(data)])
    with pytest.raises(ValueError, match="no test split"):
        held_out(own, EvaluationArguments(eval_split="test"), seed=0)
    few = [row for row in read_examples(data) if row not in held_out(own, EvaluationArguments(), 0)["own"]]
    write_own(data, few)
    with pytest.raises(ValueError, match="give a --validation file"):
        held_out(own, EvaluationArguments(), seed=0)
