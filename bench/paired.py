"""Two rankers on the same queries: the difference of their MRR, with an interval over queries.

    python -m bench.paired configs/tiny-start runs/tiny/final --families recommendation routing

prints what a training changed, on the test queries of the families' tasks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rranker import Ranker, data
from rranker.data import BENCHMARK_TASKS, RankingExample
from rranker.methods import method_names
from rranker.metrics import bootstrap_interval, paired_bootstrap
from rranker.metrics.graded import by_query, random_reciprocal_rank, reciprocal_ranks

FAMILIES = {
    "recommendation": ("rec-movie", "rec-music", "rec-game"),
    "routing": ("router-performance", "router-balance", "router-cost"),
    "passage": ("passage-5", "passage-7", "passage-9"),
}


@dataclass(frozen=True)
class Measured:
    """A ranker on one family: a reciprocal rank for every query (the mean of its cases), and mean prices a case."""

    values: dict[str, float]
    passes: float
    tokens: float
    seconds: float

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.values.values())))

    @property
    def interval(self) -> tuple[float, float]:
        return bootstrap_interval(self.values)


def some(cases: list[RankingExample], limit: int | None) -> list[RankingExample]:
    """At most so many queries, evenly spread over the list, with all draws of each; None: all."""
    ids = list(dict.fromkeys(case.id for case in cases))
    kept = set(ids if limit is None else ids[:: max(1, len(ids) // limit)][:limit])
    return [case for case in cases if case.id in kept]


def query_of(case: RankingExample) -> str:
    """One routed query makes a case of each setting, one topic several lists: they stand or fall together."""
    return str(case.query) if case.task == "routing" else case.id


def by_query_of(cases: Sequence[RankingExample], values: Iterable[float]) -> dict[str, float]:
    return by_query(map(query_of, cases), values)


def measure(ranker: Ranker, cases: Sequence[RankingExample]) -> Measured:
    queries = [c.as_query() for c in cases]
    began = time.perf_counter()
    rankings = ranker.rank_batch(queries, progress=False)
    seconds = time.perf_counter() - began
    values = reciprocal_ranks([case.relevance for case in cases], [r.order for r in rankings])
    return Measured(
        by_query_of(cases, values),
        float(np.mean([r.stats.forward_passes for r in rankings])),
        float(np.mean([r.stats.tokens_encoded for r in rankings])),
        seconds / len(cases),
    )


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[float, tuple[float, float]]:
    """Mean of `one` minus `other` over the queries, and its 95 % interval.

    Paired: what makes a query hard for both falls out. Raises ValueError when the queries are not the same.
    """
    found = paired_bootstrap(one, other)
    return found.difference, (found.low, found.high)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.paired", description=__doc__)
    parser.add_argument("before", help="checkpoint folder")
    parser.add_argument("after", help="checkpoint folder")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    rows.add_argument("--tasks", nargs="+", choices=BENCHMARK_TASKS, help="a row each, in place of families")
    parser.add_argument("--limit", type=int, help="queries a task, at most (default: all)")
    parser.add_argument("--method", choices=method_names(), default="iranker")
    options = parser.parse_args()
    chosen: dict[str, tuple[str, ...]] = {family: FAMILIES[family] for family in options.families}
    if options.tasks:
        chosen = {task: (task,) for task in options.tasks}
    rankers = [Ranker(folder, method=options.method) for folder in (options.before, options.after)]
    print("| on | queries | random | before | after | difference |\n|---|---|---|---|---|---|")
    for name, tasks in chosen.items():
        cases = [case for task in tasks for case in some(data.task_cases(task, "test"), options.limit)]
        chance = by_query_of(cases, [random_reciprocal_rank(case.relevance) for case in cases])
        before, after = (measure(ranker, cases) for ranker in rankers)
        mean, (low, high) = difference(after.values, before.values)
        cells = [f"{np.mean(list(chance.values())):.3f}"]
        cells += [f"{m.mean:.3f} [{m.interval[0]:.3f}, {m.interval[1]:.3f}]" for m in (before, after)]
        gap = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        print(f"| {name} | {len(before.values)} | {' | '.join(cells)} | {gap} |", flush=True)


if __name__ == "__main__":
    main()
