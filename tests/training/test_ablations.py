"""Ablations: pairing by query, what a run's command says, and a whole comparison of two small models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import ablations
from bench.ablations import COMPARISONS, MIXTURE, RUNS, SOURCES_OF, Entrant, Setting, tables
from bench.paired import FAMILIES, Measured, by_query_of, difference, measure
from rranker import Ranker
from rranker.data import BENCHMARK_TASKS, RankingExample
from rranker.training.examples.sources import SOURCES
from rranker.training.grpo import parse as parse_grpo
from rranker.training.policy.model_config import ModelConfig
from rranker.training.sft.options import parse as parse_sft
from tests.support.toys import save_pointer_policy, toy_cases


def test_a_paired_interval_is_narrower_than_the_spread_of_the_queries() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    one = {str(i): float(h) + 0.1 for i, h in enumerate(hard)}
    other = {str(i): float(h) for i, h in enumerate(hard)}
    mean, (low, high) = difference(one, other)
    assert mean == pytest.approx(0.1)
    assert high - low < 1e-9
    with pytest.raises(ValueError, match="same queries"):
        difference(one, {"other": 1.0})


def test_cases_of_one_query_count_once() -> None:
    def case(task: str, query: str, id: str) -> RankingExample:
        return RankingExample(task, query, None, ["a", "b"], [1.0, 0.0], id)

    routed = [
        case("routing", "q", "cost-1"),
        case("routing", "q", "balance-1"),
        case("routing", "r", "cost-2"),
    ]
    assert by_query_of(routed, [1.0, 0.5, 0.25]) == {"q": 0.75, "r": 0.25}
    assert by_query_of([case("passage", "q", "t1"), case("passage", "q", "t1")], [1.0, 0.0]) == {"t1": 0.5}


def test_families_are_the_nine_tasks_and_leaving_one_out_leaves_its_sources_out() -> None:
    assert sorted(task for tasks in FAMILIES.values() for task in tasks) == sorted(BENCHMARK_TASKS)
    assert sorted(name for names in SOURCES_OF.values() for name in names) == sorted(MIXTURE)
    kept = [entry.partition("=")[0] for entry in ablations.without("passage")[1:]]
    assert kept == ["movies", "music", "games", "routing"]
    assert set(MIXTURE) <= set(SOURCES)


def test_every_comparison_is_of_runs_that_exist_and_every_start_too() -> None:
    assert {e.run for pair in COMPARISONS.values() for e in pair} <= set(RUNS)
    assert {run.start for run in RUNS.values() if run.start} <= set(RUNS)


def test_commands_are_ones_the_trainers_take(tmp_path: Path) -> None:
    setting = Setting(tmp_path, "base", "encoder")
    arguments, config = parse_grpo(setting.command("rl-stepwise", 2)[3:])
    assert (arguments.reward.reward, arguments.policy.model) == (
        "stepwise",
        str(tmp_path / "sft-2" / "final"),
    )
    assert (arguments.run.resume, config.output_dir) == (True, str(tmp_path / "rl-stepwise-2"))
    assert (config.seed, config.scale_rewards) == (2, "none")
    first, longer = (parse_sft(setting.command(name, 2)[3:]) for name in ("sft", "sft-longer"))
    assert (first.model.start, longer.model.start) == (Path("base"), tmp_path / "sft-2" / "final")
    assert first.step.seed != longer.step.seed
    assert "--resume" not in setting.command("sft", 0)
    (tmp_path / "sft-0").mkdir()
    (tmp_path / "sft-0" / "state.pt").touch()
    assert setting.command("sft", 0)[-1] == "--resume"


def test_a_ranker_is_measured_and_compared(tmp_path: Path, tokenizer: Any, tiny: ModelConfig) -> None:
    folder = save_pointer_policy(tokenizer, tiny, tmp_path / "model")
    cases = list(toy_cases(6, seed=9).values())
    both = [Ranker(folder, dtype="float32", kv_cache_tokens=2048, method=m) for m in ("iranker", "dranker")]
    first, second = (measure(ranker, cases) for ranker in both)
    assert 0 < first.mean <= 1
    assert first.passes >= second.passes == 1
    found = {Entrant("sft"): _families(first), Entrant("sft", "dranker"): _families(second)}
    text = tables(found)
    assert "| sft (dranker) |" in text
    assert text.count("IRanker against DRanker, SFT") == 1
    assert "block against causal" not in text


def _families(*measured: Measured) -> dict[str, list[Measured]]:
    return {family: list(measured) for family in FAMILIES}


def test_seeds_are_averaged_by_query_and_shown_one_by_one() -> None:
    def measured(*values: float) -> Measured:
        return Measured(dict(zip("ab", values, strict=True)), 1, 10, 0.1)

    found = {
        Entrant("sft"): _families(measured(0.5, 1.0), measured(0.5, 0.5)),
        Entrant("sft", "dranker"): _families(measured(0.25, 0.5), measured(0.5, 0.5)),
    }
    own, _, paired = tables(found).partition("difference of MRR")
    assert "| sft | 0.625 [0.500, 0.750]" in own
    assert paired.count("+0.188 [+0.125, +0.250] (+0.375, +0.000)") == len(FAMILIES)
