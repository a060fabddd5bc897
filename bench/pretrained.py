"""What an untuned language model ranks like: methods, prompts, label remedies and reuse, quality beside cost.

    python -m bench.pretrained                                    # every study, on SmolLM2-135M-Instruct
    python -m bench.pretrained --study methods --queries 50       # one of them, on fewer queries
    python -m bench.pretrained --model path/to/checkpoint --out mine.jsonl

Each row is appended to `--out` when it is measured, and not measured again; a study that was stopped goes on where it
was. What is chosen is chosen on queries of the training side; `test` is for what was chosen. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.pretrained_models import smollm2_folder
from bench.pretrained_setups import MassReadout, Setup, engines_of, scorer
from bench.pretrained_tables import print_tables
from bench.quality_peers import by_score, peers
from rranker import Ranker, data
from rranker.data import RankingExample, Split
from rranker.engine.engine import Engine
from rranker.engine.loading.arguments import as_dtype
from rranker.engine.readout import IdentifierReadout
from rranker.metrics.graded import random_reciprocal_rank, reciprocal_ranks

METHODS = (
    Setup("query_likelihood"),
    Setup("query_likelihood", prompt="write a search query"),
    Setup("pointwise"),
    Setup("dranker"),
    Setup("dranker", reversed=True),
    Setup("iranker"),
    Setup("iranker", reuse="keep"),
    Setup("iranker", attention="block"),
    Setup("selection", reuse="keep"),
    Setup("dranker", remedy="content-free"),
    Setup("dranker", remedy="both orders"),
    Setup("iranker", reuse="keep", remedy="content-free"),
)
PROMPTS = (
    *(
        Setup("query_likelihood", prompt=name)
        for name in ("write a search query", "what was asked", "no question")
    ),
    *(Setup("pointwise", prompt=name) for name in ("question first", "yes/no: relevant")),
    *(
        Setup("dranker", prompt=name)
        for name in (
            "asked",
            "asked, query again",
            "asked, bare letter",
            "asked, space",
            "asked, newline",
            "explained",
        )
    ),
    Setup("iranker", reuse="keep", prompt="asked"),
)
TASKS = (
    Setup("query_likelihood"),
    Setup("dranker"),
    Setup("iranker", reuse="keep"),
)
PASSAGES = ("passage-5", "passage-7", "passage-9")
OTHERS = ("router-performance", "router-balance", "router-cost", "rec-movie", "rec-music", "rec-game")
SHORT = tuple(
    replace(setup, prompt=prompt)
    for setup in (*TASKS[:1], TASKS[2], TASKS[1], Setup("pointwise"))
    for prompt in ("default", "short")
)
STUDIES: dict[str, tuple[Split, tuple[str, ...], tuple[Setup, ...]]] = {
    "methods": ("train", ("passage-7",), METHODS),
    "prompts": ("train", ("passage-7",), PROMPTS),
    "short": ("train", ("passage-7", "ood-pubmedqa", "rec-movie"), SHORT),
    "tasks": ("train", ("passage-5", "passage-9", *OTHERS), TASKS),
    "test": ("test", (*PASSAGES, "ood-pubmedqa", *OTHERS), TASKS),
}
"""Name → split, tasks and setups. Tasks out of domain have a test split alone, and choose nothing."""


def chosen(cases: Sequence[RankingExample], queries: int) -> list[RankingExample]:
    """At most so many queries, evenly spread; as many lists of each as there is room for, and at least one."""
    by_id: dict[str, list[RankingExample]] = {}
    for case in cases:
        by_id.setdefault(case.id, []).append(case)
    step = max(1, len(by_id) // queries)
    kept = list(by_id)[::step][:queries]
    lists = max(1, queries // len(kept))
    return [case for name in kept for case in by_id[name][:lists]]


def measured(cases: Sequence[RankingExample], setup: Setup, engines: dict[str, Engine]) -> dict[str, Any]:
    """Orders and costs of one setup, a list a case."""
    flip = [list(range(len(case.candidates)))[:: -1 if setup.reversed else 1] for case in cases]
    queries = [
        {**case.as_query(), "candidates": [case.candidates[i] for i in order]}
        for case, order in zip(cases, flip, strict=True)
    ]
    ranker = Ranker(scorer=scorer(setup, engines), method=setup.method)
    ranker.rank_batch(queries[:1], progress=False)  # what is made once is made here
    began = time.perf_counter()
    rankings = ranker.rank_batch(queries, progress=False)
    seconds = time.perf_counter() - began
    stats = [ranking.stats for ranking in rankings]
    return {
        "orders": [[order[i] for i in found.order] for order, found in zip(flip, rankings, strict=True)],
        "tokens": float(np.mean([s.tokens_encoded for s in stats])),
        "passes": float(np.mean([s.forward_passes for s in stats])),
        "seconds": seconds / len(cases),
    }


def rows(
    study: str,
    tasks: Sequence[str],
    queries: int,
    engines: dict[str, Engine],
    readout: MassReadout | None,
    done: set[tuple[str, str, str]],
) -> Iterator[dict[str, Any]]:
    """The rows of a study that are not done yet, each when it is measured; plain ones first."""
    split, all_tasks, setups = STUDIES[study]
    for task in [task for task in all_tasks if not tasks or task in tasks]:
        taken: Split = "test" if task.startswith("ood-") else split
        cases = chosen(data.task_cases(task, taken), queries)
        shared = {
            "study": study,
            "split": taken,
            "task": task,
            "queries": len({case.id for case in cases}),
            "cases": len(cases),
        }
        relevance = [case.relevance for case in cases]
        ids = [case.id for case in cases]
        if (study, task, "random") not in done:
            chance = [random_reciprocal_rank(r) for r in relevance]
            yield shared | {"row": "random", "ids": ids, "rr": chance}
        if (study, task, "peers") not in done:
            # What was fitted on the training side says nothing there.
            fitted = peers(task, cases) if split == "test" or task in PASSAGES else {}
            for name, scores in fitted.items():
                orders = [by_score(each, i) for i, each in enumerate(scores)]
                yield shared | {"row": name, "ids": ids, "rr": list(reciprocal_ranks(relevance, orders))}
            yield shared | {"row": "peers"}
        for setup in setups:
            if (study, task, setup.name) in done:
                continue
            if readout is not None:
                readout.masses.clear()
            row = measured(cases, setup, engines)
            if readout is not None and readout.masses:
                row["mass"] = float(np.mean(readout.masses))
            rr = list(reciprocal_ranks(relevance, row["orders"]))
            yield shared | {"row": setup.name, "setup": asdict(setup), "ids": ids, "rr": rr} | row


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.pretrained",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="a checkpoint folder; left out, SmolLM2 from its package")
    parser.add_argument("--study", nargs="*", choices=[*STUDIES, "none"], default=list(STUDIES))
    parser.add_argument("--tasks", nargs="*", default=[], help="only these of a study's tasks")
    parser.add_argument("--queries", type=int, default=200, help="of each task, at most")
    parser.add_argument("--dtype", default=None, help="as Ranker's")
    parser.add_argument("--out", type=Path, default=Path("runs/pretrained.jsonl"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text(encoding="utf-8").splitlines() if options.out.exists() else []
    known = [json.loads(line) for line in lines]
    studies = [name for name in options.study if name != "none"]
    if studies:
        folder = options.model or smollm2_folder(Path("runs/models"))
        loaded = Engine.load(folder, dtype=as_dtype(options.dtype)).model
        assert loaded is not None
        measured_by = {
            "model": str(folder),
            "asked": options.queries,
            "dtype": str(loaded.lm.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }
        same = [row for row in known if measured_by.items() <= row.items()]
        done = {(row["study"], row["task"], row["row"]) for row in same}
        for study in studies:
            readout = MassReadout(loaded.lm) if study == "prompts" else IdentifierReadout(loaded.lm)
            engines = engines_of(loaded, readout)
            masses = readout if isinstance(readout, MassReadout) else None
            for row in rows(study, options.tasks, options.queries, engines, masses, done):
                known.append(row | measured_by)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(known[-1]) + "\n")
                print(f"{study} {row['task']} {row['row']}: {np.mean(row.get('rr', 0)):.3f}", flush=True)
    print_tables(known)


if __name__ == "__main__":
    main()
