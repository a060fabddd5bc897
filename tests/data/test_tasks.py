"""The twelve tasks by name: counts, leaks, episodes, and the report that prints them."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from rranker.data import (
    BENCHMARK_TASKS,
    OUT_OF_DOMAIN,
    RankingExample,
    iterative_cases,
    read_parquet,
    routeprofile,
    task_cases,
)
from rranker.data.__main__ import leaks, main, tie_rate

pytestmark = pytest.mark.data

SIZES = {"rec-movie": 20, "router-cost": 11, "passage-5": 5, "passage-7": 7, "passage-9": 9}
SIZES |= {"ood-cds": 20, "ood-router-balance": 8}


@pytest.mark.parametrize("name", SIZES)
def test_candidates_are_as_many_as_the_task_says(name: str) -> None:
    cases = task_cases(name)
    assert cases == task_cases(name)
    assert {len(case.candidates) for case in cases} == {SIZES[name]}
    assert all(len(set(case.candidates)) == SIZES[name] for case in cases)


@pytest.mark.parametrize(
    "name", [name for name in BENCHMARK_TASKS if name not in ("router-balance", "passage-7")]
)
def test_nothing_leaks_from_train_to_test(name: str) -> None:
    train, validation, test = (task_cases(name, split) for split in ("train", "validation", "test"))
    assert validation
    assert leaks([*train, *validation], test) == leaks(train, validation) == 0


def test_leaks_would_be_seen() -> None:
    case = RankingExample("passage", "who", None, ["a", "b"], [1.0, 0.0], "x")
    other = RankingExample("passage", "who", None, ["c", "d"], [1.0, 0.0], "y")
    assert leaks([case], [other]) == leaks([case], [case]) == 1
    assert leaks([case], [RankingExample("passage", "what", None, ["a"], [1.0], "z")]) == 0


def test_ties_of_routing_stay_ties() -> None:
    assert tie_rate(task_cases("router-performance")) > 0.9
    assert tie_rate(task_cases("router-cost")) < 0.01
    assert tie_rate(task_cases("passage-5")) == 0


def test_the_unseen_router_shares_no_query() -> None:
    rows = routeprofile()
    assert 500 < len(rows) <= 541
    assert all(len(row.candidates) == len(row.scores) == len(row.costs) == 8 for row in rows)
    assert all(cost >= 0 for row in rows for cost in row.costs)


def test_out_of_domain_never_trains() -> None:
    for name in OUT_OF_DOMAIN:
        with pytest.raises(ValueError, match="out of domain"):
            task_cases(name, "train")
    with pytest.raises(ValueError, match=r"no task 'rec-films'; there are rec-movie"):
        task_cases("rec-films")


def test_episodes_shrink_by_one_and_keep_a_best() -> None:
    whole = RankingExample("passage", "q", None, list("abcde"), [0.0, 2.0, 0.0, 2.0, 1.0], "x")
    found = list(iterative_cases([whole, whole], seed=3))
    assert found == list(iterative_cases([whole, whole], seed=3))
    assert [len(case.candidates) for case in found] == [5, 4, 3, 2] * 2
    for case in found:
        assert max(case.relevance) == 2.0
        assert case.relevance == [whole.relevance[whole.candidates.index(text)] for text in case.candidates]
    for one, two in pairwise(found[:4]):
        assert set(two.candidates) < set(one.candidates)


def test_the_report_prints_and_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["passage-5", "ood-cds"]
    monkeypatch.setattr(sys, "argv", ["data", "--tasks", *names, "--export", str(tmp_path)])
    main()
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert read_parquet(tmp_path / "ood-cds.test.parquet") == task_cases("ood-cds")
    assert read_parquet(tmp_path / "passage-5.train.parquet") == task_cases("passage-5", "train")
    assert not (tmp_path / "ood-cds.train.parquet").exists()
