"""Every method on the same queries: how good its rankings are, and what they cost.

    python -m bench.methods                                           # the bundled model
    python -m bench.methods --model smollm2 --queries 20 --lists 0    # SmolLM2, on fewer of them

prints two tables, in Markdown: lists of nine passages, one of which is relevant, ranked whole; and BM25's top 100 of
TREC DL 2019, of which the best ten are asked for (`top_k=10`). Intervals are bootstrapped by query. Tokens and passes
are means a query. The queries of a row are ranked together, so they share passes; seconds are the batch's, divided: of
CPU time, over all threads, which on one thread is what an idle machine takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.pretrained_models import smollm2_folder
from bench.quality import Figures, figures, judged, some
from rranker import Ranker, Ranking, data
from rranker.methods import method_class, method_names
from rranker.prompts.segments import POINTWISE

TASK, YEAR, TOP_K = "passage-9", 19, 10


def measured(
    ranker: Ranker,
    queries: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    quality: Callable[..., Figures],
) -> Figures:
    """Quality and cost of one method on all queries."""
    began = time.process_time()
    rankings: list[Ranking] = ranker.rank_batch(queries, progress=False, **settings)
    seconds = time.process_time() - began
    row = quality([ranking.order for ranking in rankings])
    stats = [ranking.stats for ranking in rankings]
    row["rounds"] = float(np.mean([len(ranking.rounds) for ranking in rankings]))
    row["tokens"] = float(np.mean([s.tokens_encoded for s in stats]))
    row["passes"] = float(np.mean([s.forward_passes for s in stats]))
    row["seconds"] = seconds / len(queries)
    return row


def rows_of(
    ranker: Ranker,
    queries: Sequence[dict[str, Any]],
    wanted: dict[str, dict[str, Any]],
    quality: Callable[..., Figures],
) -> dict[str, Figures]:
    """A row for each name, with its settings; those that the model cannot play are left out."""
    rows = dict[str, Figures]()
    for name, settings in wanted.items():
        try:
            ranker.rank_batch(queries[:1], progress=False, **settings)  # what is made once is made here
        except ValueError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        rows[name] = measured(ranker, queries, settings, quality)
        print(f"({name}: {rows[name]['seconds']:.3f} s)", flush=True)
    return rows


def table(title: str, measure: str, rows: dict[str, Figures]) -> str:
    """Markdown."""
    names = {"mrr": "MRR", "ndcg": "nDCG@10"}
    lines = [
        f"**{title}**",
        "",
        f"| | {names[measure]} | rounds | tokens | passes | CPU s / list |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        low, high = row[f"{measure}_interval"]
        costs = f"{row['rounds']:.1f} | {row['tokens']:,.0f} | {row['passes']:.1f} | {row['seconds']:.3f}"
        lines.append(f"| {name} | {row[measure]:.3f} [{low:.3f}, {high:.3f}] | {costs} |")
    return "\n".join(lines) + "\n"


def short_lists(ranker: Ranker, count: int) -> None:
    """All methods on lists of nine, and early stop."""
    cases = some(data.task_cases(TASK, "test"), count)
    queries = [{"query": case.query, "candidates": case.candidates, "task": case.task} for case in cases]
    wanted: dict[str, dict[str, Any]] = {name: {"method": name} for name in method_names()}
    wanted["iranker, stop_below=0.1"] = {"method": "iranker", "stop_below": 0.1}
    rows = rows_of(ranker, queries, wanted, lambda orders: figures(cases, orders))
    print(table(f"{TASK}, {len(cases)} lists", "mrr", rows))


def long_lists(ranker: Ranker, count: int) -> None:
    """The best ten of a hundred, by the methods that compare, and elimination to the end."""
    topics = [topic for topic in data.trecdl(YEAR) if any(hit.grade is not None for hit in topic.hits)][
        :count
    ]
    queries = [
        {"query": topic.query, "candidates": [hit.text for hit in topic.hits], "task": "passage"}
        for topic in topics
    ]
    several = [
        name for name in method_names() if method_class(name).kind not in POINTWISE and name != "pairwise"
    ]
    wanted: dict[str, dict[str, Any]] = {
        f"{name}, top_k={TOP_K}": {"method": name, "top_k": TOP_K} for name in several
    }
    wanted[f"iranker, top_k={TOP_K}, window=20"] = {"method": "iranker", "top_k": TOP_K, "window": 20}
    wanted = {"iranker, all": {"method": "iranker"}} | wanted
    rows = rows_of(ranker, queries, wanted, lambda orders: judged(YEAR, topics, orders))
    print(table(f"TREC DL 20{YEAR}, top 100, {len(topics)} lists", "ndcg", rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.methods",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="a checkpoint folder, or smollm2; left out, the bundled model")
    parser.add_argument("--queries", type=int, default=200, help="lists of nine, at most")
    parser.add_argument("--lists", type=int, default=43, help="lists of a hundred, at most; 0: none")
    parser.add_argument("--reuse", choices=("exact", "keep"), help="as Ranker's")
    options = parser.parse_args()
    model = smollm2_folder(Path("runs/models")) if options.model == "smollm2" else options.model
    with Ranker(model, reuse=options.reuse) as ranker:
        if options.queries:
            short_lists(ranker, options.queries)
        if options.lists:
            long_lists(ranker, options.lists)


if __name__ == "__main__":
    main()
