"""MRR on the held-out splits, beside rows that need no model: `python -m training.evaluate MODEL`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from math import comb
from pathlib import Path

import numpy as np

from rranker import data
from rranker.data import BM25, Case
from rranker.data.passage import TEST_YEARS
from rranker.prompts import SETTINGS
from rranker.prompts.compact import CompactDialect
from rranker.prompts.encoding import TextEncoder
from rranker.training.checkpoint import load_model
from rranker.training.score import Scorer, elimination, one_shot
from rranker.training.tokenizer import load_tokenizer

Row = dict[str, float]


def reciprocal_rank(case: Case, order: Sequence[int]) -> float:
    """1 / the place of the first candidate with the best grade."""
    best = max(case.grades)
    return 1 / (1 + next(place for place, i in enumerate(order) if case.grades[i] == best))


def random_reciprocal_rank(case: Case) -> float:
    """What a random order gets on average: exact, ties included."""
    n, m = len(case.grades), case.grades.count(max(case.grades))
    return sum(comb(n - r, m - 1) / r for r in range(1, n - m + 2)) / comb(n, m)


def summary(cases: Sequence[Case], values: Sequence[float], draws: int = 2000) -> Row:
    """Mean over queries with a 95 % bootstrap interval; cases of one query count as one."""
    groups: dict[str, list[float]] = {}
    for case, value in zip(cases, values, strict=True):
        groups.setdefault(case.id, []).append(value)
    means = np.array([np.mean(group) for group in groups.values()])
    picks = np.random.default_rng(0).integers(len(means), size=(draws, len(means)))
    low, high = np.quantile(means[picks].mean(1), [0.025, 0.975])
    return {"mrr": float(means.mean()), "low": float(low), "high": float(high), "queries": len(means)}


def by_score(scores: Sequence[float], seed: int) -> list[int]:
    """Best first; equal scores in a seeded random order."""
    noise = np.random.default_rng(seed).random(len(scores))
    return sorted(range(len(scores)), key=lambda i: (-scores[i], noise[i]))


def suites(limit: int) -> dict[str, tuple[list[Case], str, list[list[int]]]]:
    """Per task: test cases, the plain rule's name, and its orders."""
    found: dict[str, tuple[list[Case], str, list[list[int]]]] = {}
    for interactions in (data.movielens(), data.lastfm(), data.games()):
        counts = dict(zip(interactions.titles, interactions.popularity, strict=True))
        for sampler in ("uniform", "popular"):
            cases = data.recommendation_cases(interactions, "test", sampler, limit=limit)
            orders = [by_score([counts[t] for t in case.candidates], i) for i, case in enumerate(cases)]
            found[f"{interactions.name}/{sampler}"] = cases, "popularity", orders
    train, test = data.routerbench()
    top = data.max_cost(train)
    for setting in SETTINGS:
        sums: dict[str, float] = {}
        for case in data.routing_cases(train, setting, top):
            for text, grade in zip(case.candidates, case.grades, strict=True):
                sums[text] = sums.get(text, 0.0) + grade
        cases = data.routing_cases(test, setting, top)
        cases = cases[:: max(1, len(cases) // limit)]
        orders = [by_score([sums[t] for t in case.candidates], i) for i, case in enumerate(cases)]
        found[f"routing/{setting}"] = cases, "majority", orders
    topics = [topic for year in TEST_YEARS for topic in data.judged(year)]
    for k in (5, 7, 9):
        cases = data.passage_cases(topics, k, draws=5)
        found[f"passage/{k}"] = cases, "bm25", [_bm25(case, i) for i, case in enumerate(cases)]
    cases = data.question_cases(data.squad()[1], 5, limit=limit)
    found["squad/5"] = cases, "bm25", [_bm25(case, i) for i, case in enumerate(cases)]
    return found


def _bm25(case: Case, seed: int) -> list[int]:
    return by_score(BM25(case.candidates).scores(str(case.query)).tolist(), seed)


def evaluate(scorer: Scorer, limit: int) -> dict[str, dict[str, Row]]:
    """{task: {row: {mrr, low, high, queries}}} for the rows random, the plain rule, and the model."""
    table: dict[str, dict[str, Row]] = {}
    for task, (cases, rule, orders) in suites(limit).items():
        table[task] = {
            "random": summary(cases, [random_reciprocal_rank(case) for case in cases]),
            rule: summary(cases, [reciprocal_rank(c, o) for c, o in zip(cases, orders, strict=True)]),
            "model": summary(
                cases, [reciprocal_rank(c, o) for c, o in zip(cases, scorer(cases), strict=True)]
            ),
        }
        print(line(task, table[task]), flush=True)
    return table


def line(task: str, rows: dict[str, Row]) -> str:
    """One row of a Markdown table."""
    cells = [f"{name} {r['mrr']:.3f} [{r['low']:.3f}, {r['high']:.3f}]" for name, r in rows.items()]
    return f"| {task} | {int(rows['random']['queries'])} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a folder that training.sft wrote")
    parser.add_argument("--method", choices=("iranker", "dranker"), default="iranker")
    parser.add_argument("--limit", type=int, default=300, help="test cases per task, at most about this many")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    model = load_model(options.model).eval()
    dialect = CompactDialect(TextEncoder(load_tokenizer(options.model)))
    make = elimination if options.method == "iranker" else one_shot
    table = evaluate(make(model, dialect), options.limit)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
