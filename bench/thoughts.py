"""Whether a thought about a similar query helps a model: SmolLM2 with and without an example from a `ThoughtStore`.

    python -m bench.thoughts                                # 40 lists to think about, 60 to rank, of two tasks
    python -m bench.thoughts --queries 20 --tasks router-balance --splits validation

The thoughts are about queries of the training side, those are kept whose verdict was right; what is ranked are
validation and test queries. Prints Markdown: each row's MRR, and its paired difference from the row without an example.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from bench.pretrained import chosen
from bench.pretrained_models import smollm2_folder
from rranker import Ranker, data
from rranker.data import RankingExample
from rranker.methods import method_names
from rranker.metrics import bootstrap_interval, paired_bootstrap
from rranker.metrics.graded import by_query, reciprocal_ranks
from rranker.thoughts import Similar, ThoughtStore


def think(ranker: Ranker, cases: Sequence[RankingExample]) -> ThoughtStore:
    """One round for each case, which names the best; those thoughts are kept that led to a relevant one."""
    store = ThoughtStore()
    rankings = ranker.rank_batch(
        [case.as_query() for case in cases], method="selection", top_k=1, progress=False
    )
    for case, ranking in zip(cases, rankings, strict=True):
        (best,) = ranking.rounds[0].selected
        if case.relevance[best] == max(case.relevance):
            store.add(case.query, ranking, template=case.task)
    return store


def measure(
    ranker: Ranker, cases: Sequence[RankingExample], store: ThoughtStore | None
) -> tuple[dict[str, float], float]:
    """Each query's reciprocal rank, and tokens a case; with the example that `store` finds."""
    queries = [case.as_query() for case in cases]
    if store is not None:
        for case, query in zip(cases, queries, strict=True):
            query["instruction"] = store.instruction(
                case.query, template=case.task, instruction=case.instruction
            )
    rankings = ranker.rank_batch(queries, progress=False)
    ranks = reciprocal_ranks([case.relevance for case in cases], [found.order for found in rankings])
    tokens = float(np.mean([found.stats.tokens_encoded for found in rankings]))
    return by_query([case.id for case in cases], ranks), tokens


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.thoughts", description=__doc__)
    parser.add_argument("--model", type=Path, help="checkpoint folder; left out: SmolLM2-135M-Instruct")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="where SmolLM2 is converted to")
    parser.add_argument("--tasks", nargs="+", default=["passage-5", "rec-movie"])
    parser.add_argument("--splits", nargs="+", choices=["validation", "test"], default=["validation", "test"])
    parser.add_argument("--method", choices=method_names(), default="dranker", help="of who gets the example")
    parser.add_argument("--thinking", type=int, default=40, help="lists to think about, a task")
    parser.add_argument("--tokens", type=int, default=48, help="of a thought, at most")
    parser.add_argument(
        "--queries", type=int, default=60, help="lists to rank, a task, of as many queries as there are"
    )
    options = parser.parse_args()
    folder = options.model or smollm2_folder(options.cache)
    print("| task | thought | MRR | against none | tokens |\n|---|---|---|---|---:|")
    for task in options.tasks:
        with Ranker(folder, dtype="float32", reasoning=True, max_think_tokens=options.tokens) as thinker:
            thought_about = chosen(data.task_cases(task, "train"), options.thinking)
            store = think(thinker, thought_about)
        right = f"{len(store)} of {len(thought_about)} thoughts were right"
        with Ranker(folder, dtype="float32", method=options.method) as ranker:
            for split in options.splits:
                cases = chosen(data.task_cases(task, split), options.queries)
                queries = len({case.id for case in cases})
                show(f"{task}, {split}, {queries} queries; {right}", ranker, cases, store)


def show(title: str, ranker: Ranker, cases: Sequence[RankingExample], store: ThoughtStore) -> None:
    """Prints a line without an example, and one for each way to find one, as soon as it is measured."""
    none, tokens = measure(ranker, cases, None)
    print(_line(title, "none", none, None, tokens), flush=True)
    for name, similar in _similar().items():
        found, tokens = measure(ranker, cases, ThoughtStore(store, similarity=similar))
        print(_line("", name, found, none, tokens), flush=True)


def _similar() -> dict[str, Literal["bm25", "embedding"] | Similar]:
    rng = random.Random(0)
    return {
        "of any query": lambda texts, query: [rng.random() for _ in texts],
        "of the most similar query, by BM25": "bm25",
        "of the most similar query, by vectors": "embedding",
    }


def _line(
    task: str, name: str, values: dict[str, float], none: dict[str, float] | None, tokens: float
) -> str:
    low, high = bootstrap_interval(values)
    gap = ""
    if none is not None:
        found = paired_bootstrap(values, none)
        gap = f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    mean = float(np.mean(list(values.values())))
    return f"| {task} | {name} | {mean:.3f} [{low:.3f}, {high:.3f}] | {gap} | {tokens:.0f} |"


if __name__ == "__main__":
    main()
