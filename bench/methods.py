"""Every method on the same queries: how good its rankings are, and what they cost.

    python -m bench.methods                                           # the bundled model
    python -m bench.methods --model smollm2 --queries 40 --lists 0    # SmolLM2, on fewer of them
    python -m bench.methods --model smollm2 --queries 40 --lists 0 --rows setwise pairwise    # some rows of it

prints two tables, in Markdown: lists of nine passages, one of which is relevant, ranked whole; and BM25's top 100 of
TREC DL 2019, of which the best ten are asked for (`top_k=10`). Intervals are bootstrapped by query. Tokens and passes
are means a query. The queries of a row are ranked together, so they share passes; seconds are the batch's, divided: of
CPU time, over all threads, which on one thread is what an idle machine takes. A row is printed when it is measured, and
appended to `--out`; what stands there is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.pretrained import chosen
from bench.pretrained_models import smollm2_folder
from bench.quality import Figures, figures, judged
from rranker import Ranker, Ranking, data
from rranker.methods import method_class, method_names
from rranker.prompts.segments import POINTWISE

TASK, YEAR, TOP_K = "passage-9", 19, 10
_NAMES = {"mrr": "MRR", "ndcg": "nDCG@10"}


@dataclass(frozen=True)
class Table:
    """One table in the making: its title, the measure of its rows, where they are kept, and which are wanted."""

    title: str
    measure: str
    out: Path
    only: Sequence[str]

    def fill(
        self,
        ranker: Ranker,
        queries: Sequence[dict[str, Any]],
        wanted: dict[str, dict[str, Any]],
        quality: Callable[..., Figures],
    ) -> None:
        """Prints a row for each name, ranked with its settings, and keeps it.

        A row that was kept is printed as it is; one that the model cannot play is left out.
        """
        print(f"\n**{self.title}**\n")
        print(f"| | {_NAMES[self.measure]} | rounds | tokens | passes | CPU s / list |")
        print("|---|---|---:|---:|---:|---:|", flush=True)
        kept = self._kept()
        for name, settings in wanted.items():
            if self.only and name.partition(",")[0] not in self.only:
                continue
            if name not in kept:
                try:
                    ranker.rank_batch(
                        queries[:1], progress=False, **settings
                    )  # what is made once is made here
                except ValueError as error:
                    print(f"({name} is left out: {error})", flush=True)
                    continue
                kept[name] = measured(ranker, queries, settings, quality, self.measure)
                with self.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"table": self.title, "name": name} | kept[name]) + "\n")
            print(_line(name, self.measure, kept[name]), flush=True)

    def _kept(self) -> dict[str, Figures]:
        lines = self.out.read_text(encoding="utf-8").splitlines() if self.out.exists() else []
        rows = [json.loads(line) for line in lines]
        return {row["name"]: row for row in rows if row["table"] == self.title}


def measured(
    ranker: Ranker,
    queries: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    quality: Callable[..., Figures],
    measure: str,
) -> Figures:
    """Quality and cost of one method on all queries."""
    began = time.process_time()
    rankings: list[Ranking] = ranker.rank_batch(queries, progress=False, **settings)
    seconds = time.process_time() - began
    found = quality([ranking.order for ranking in rankings])
    stats = [ranking.stats for ranking in rankings]
    return {
        measure: found[measure],
        f"{measure}_interval": found[f"{measure}_interval"],
        "rounds": float(np.mean([len(ranking.rounds) for ranking in rankings])),
        "tokens": float(np.mean([s.tokens_encoded for s in stats])),
        "passes": float(np.mean([s.forward_passes for s in stats])),
        "seconds": seconds / len(queries),
    }


def _line(name: str, measure: str, row: Figures) -> str:
    low, high = row[f"{measure}_interval"]
    costs = f"{row['rounds']:.1f} | {row['tokens']:,.0f} | {row['passes']:.1f} | {row['seconds']:.3f}"
    return f"| {name} | {row[measure]:.3f} [{low:.3f}, {high:.3f}] | {costs} |"


def short_lists(ranker: Ranker, count: int, name: str, out: Path, only: Sequence[str]) -> None:
    """All methods on lists of nine, and early stop."""
    cases = chosen(data.task_cases(TASK, "test"), count)
    queries = [case.as_query() for case in cases]
    wanted: dict[str, dict[str, Any]] = {name: {"method": name} for name in method_names()}
    wanted["iranker, stop_below=0.1"] = {"method": "iranker", "stop_below": 0.1}
    title = f"{name}: {TASK}, {len({case.id for case in cases})} queries, {len(cases)} lists"
    Table(title, "mrr", out, only).fill(ranker, queries, wanted, lambda orders: figures(cases, orders))


def long_lists(ranker: Ranker, count: int, name: str, out: Path, only: Sequence[str]) -> None:
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
    title = f"{name}: TREC DL 20{YEAR}, top 100, {len(topics)} queries"
    Table(title, "ndcg", out, only).fill(ranker, queries, wanted, lambda orders: judged(YEAR, topics, orders))


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
    parser.add_argument("--rows", nargs="+", choices=method_names(), default=[], help="these methods only")
    parser.add_argument("--out", type=Path, default=Path("runs/methods.jsonl"), help="where rows are kept")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    model = smollm2_folder(Path("runs/models")) if options.model == "smollm2" else options.model
    name = f"{options.model or 'bundled'}{', kept keys' if options.reuse == 'keep' else ''}"
    with Ranker(model, reuse=options.reuse) as ranker:
        if options.queries:
            short_lists(ranker, options.queries, name, options.out, options.rows)
        if options.lists:
            long_lists(ranker, options.lists, name, options.out, options.rows)


if __name__ == "__main__":
    main()
