"""How well rankings are: nine tasks, three out of domain, and TREC DL top-100 lists, beside plain baselines.

    python -m bench.quality --model default=rranker/assets/default --model rl=runs/grpo/final --limit 100

prints Markdown tables and writes the figures as JSON. Intervals are bootstrapped by query. Models are chosen with
`--split validation`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.paired import some
from bench.quality_held_out import HELD_OUT
from bench.quality_peers import by_score, minilm, minilm_tokens, peers
from bench.quality_routing import doubts
from rranker import Ranker, data
from rranker.data import BENCHMARK_TASKS, OUT_OF_DOMAIN, RankingExample, Topic
from rranker.data.passage import TRAIN_YEARS
from rranker.methods import method_names
from rranker.metrics import bootstrap_interval, evaluate, paired_bootstrap
from rranker.metrics.graded import by_query, ndcgs, random_reciprocal_rank, reciprocal_ranks
from rranker.permutations import kendall_tau
from rranker.training.options import in_range

Figures = dict[str, Any]
YEARS = (19, 20, 21)


def figures(cases: Sequence[RankingExample], orders: Sequence[Sequence[int]]) -> Figures:
    """MRR and nDCG@10 with 95 % intervals over queries."""
    relevance = [case.relevance for case in cases]
    return {
        **_spread("mrr", cases, reciprocal_ranks(relevance, orders)),
        **_spread("ndcg", cases, ndcgs(relevance, orders)),
    }


def _spread(name: str, cases: Sequence[RankingExample], values: Sequence[float] | np.ndarray) -> Figures:
    """The mean over queries, and its interval."""
    return told(name, by_query((case.id for case in cases), values))


def told(name: str, means: dict[str, float]) -> Figures:
    """`by_query` stays for comparisons."""
    mean = float(np.mean(list(means.values())))
    return {name: mean, f"{name}_interval": bootstrap_interval(means), f"{name}_by_query": means}


def compare(rows: dict[str, Figures], models: Iterable[str], measure: str) -> None:
    """Adds to each model's row how far it is from the best other row, with a paired 95 % interval over queries."""
    plain = {name: row for name, row in rows.items() if name not in set(models)}
    best = max(plain, key=lambda name: float(plain[name][measure]))
    for name in models:
        found = paired_bootstrap(rows[name][f"{measure}_by_query"], plain[best][f"{measure}_by_query"])
        rows[name]["against"] = best
        rows[name]["gain"], rows[name]["gain_interval"] = found.difference, (found.low, found.high)


def chance(cases: Sequence[RankingExample], draws: int = 50) -> Figures:
    """MRR exactly; nDCG@10 as the mean over random orders."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(case.relevance)).tolist() for case in cases for _ in range(draws)]
    drawn = ndcgs([case.relevance for case in cases for _ in range(draws)], orders)
    return {
        **_spread("mrr", cases, [random_reciprocal_rank(case.relevance) for case in cases]),
        **_spread("ndcg", cases, drawn.reshape(len(cases), draws).mean(1)),
    }


def ours(ranker: Ranker, cases: Sequence[RankingExample], shuffles: int) -> Figures:
    """Quality and price of a ranker, and how far its order follows the input's: Kendall's tau of two shuffles."""
    queries = [c.as_query() for c in cases]
    began = time.perf_counter()
    rankings = ranker.rank_batch(queries, progress=False)
    seconds = time.perf_counter() - began
    result = figures(cases, [ranking.order for ranking in rankings])
    stats = [ranking.stats for ranking in rankings]
    result["calls"] = float(np.mean([s.forward_passes for s in stats]))
    result["tokens"] = float(np.mean([s.tokens_encoded for s in stats]))
    result["seconds"] = seconds / len(cases)
    if shuffles:
        result["tau"] = stability(ranker, queries[:shuffles])
    return result


def stability(ranker: Ranker, queries: Sequence[dict[str, Any]]) -> float:
    """1: a shuffled input gives the same ranking. Both times the same batch: its size moves bfloat16's last bits."""
    orders = [ranking.order for ranking in ranker.rank_batch(queries, progress=False)]
    rng = np.random.default_rng(0)
    moves = [rng.permutation(len(query["candidates"])) for query in queries]
    shuffled = [
        {**query, "candidates": [query["candidates"][i] for i in move]}
        for query, move in zip(queries, moves, strict=True)
    ]
    again = ranker.rank_batch(shuffled, progress=False)
    taus = [
        kendall_tau(list(order), [int(move[i]) for i in ranking.order])
        for order, move, ranking in zip(orders, moves, again, strict=True)
    ]
    return float(np.mean(taus))


def task_rows(
    task: str, rankers: dict[str, Ranker], split: Any, limit: int, sampler: Any, shuffles: int
) -> tuple[int, dict[str, Figures], str]:
    """The number of queries, the rows, and what else there is to say of routing."""
    made = HELD_OUT.get(task)
    cases = made(limit) if made else some(data.task_cases(task, split, sampler=sampler), limit)
    rows = {"random": chance(cases)}
    for name, scores in peers(task, cases, split).items():
        rows[name] = figures(cases, [by_score(found, i) for i, found in enumerate(scores)])
    for name, ranker in rankers.items():
        rows[name] = ours(ranker, cases, shuffles)
    compare(rows, rankers, "mrr")
    routes = (
        doubts(cases, rows, rankers, split, twins=task.startswith("router-")) if "router-" in task else ""
    )
    return len({case.id for case in cases}), rows, routes


def list_rows(year: int, rankers: dict[str, Ranker], limit: int) -> dict[str, Figures]:
    """nDCG@10 of the first stage and of every model that re-ranks its top 100, by the NIST judgements."""
    topics = [t for t in data.trecdl(year) if any(hit.grade is not None for hit in t.hits)][:limit]
    rows = {"BM25": judged(year, topics, [list(range(len(t.hits))) for t in topics])}
    near = [minilm().scores(t.query, [hit.text for hit in t.hits]) for t in topics]
    rows["MiniLM cosine"] = judged(year, topics, [by_score(scores, i) for i, scores in enumerate(near)])
    near = [minilm_tokens().maxsim(t.query, [hit.text for hit in t.hits]) for t in topics]
    rows["MiniLM MaxSim"] = judged(year, topics, [by_score(scores, i) for i, scores in enumerate(near)])
    for name, ranker in rankers.items():
        queries = [
            {"query": t.query, "candidates": [h.text for h in t.hits], "task": "passage"} for t in topics
        ]
        began = time.perf_counter()
        rankings = ranker.rank_batch(queries, progress=False)
        seconds = (time.perf_counter() - began) / len(topics)
        rows[name] = {**judged(year, topics, [r.order for r in rankings]), "seconds": seconds}
        rows[name]["calls"] = float(np.mean([r.stats.forward_passes for r in rankings]))
        rows[name]["tokens"] = float(np.mean([r.stats.tokens_encoded for r in rankings]))
    compare(rows, rankers, "ndcg")
    return rows


def _qrels(year: int, qids: set[str]) -> dict[str, dict[str, int]]:
    from rranker.metrics import read_qrels

    every = read_qrels(data.data_file(f"trecdl/qrels.dl{year}-passage.txt"))
    return {qid: every[qid] for qid in qids if qid in every}


def judged(year: int, topics: Sequence[Topic], orders: Sequence[Sequence[int]]) -> Figures:
    """nDCG@10 of each topic's hits in such an order, by all of NIST's judgements."""
    qrels = _qrels(year, {topic.qid for topic in topics})
    run = {
        topic.qid: {topic.hits[i].docid: float(len(order) - rank) for rank, i in enumerate(order)}
        for topic, order in zip(topics, orders, strict=True)
    }
    found = evaluate(qrels, run, ["nDCG@10"])
    return told("ndcg", found.per_query("nDCG@10"))


def cell(row: Figures, name: str, form: str = ".3f") -> str:
    if name not in row:
        return ""
    return "{:{form}} [{:{form}}, {:{form}}]".format(row[name], *row[f"{name}_interval"], form=form)


def table(title: str, rows: dict[str, Figures]) -> str:
    """Markdown; the best figure of a column is not marked: look at the intervals."""
    price = ("calls", "tokens", "seconds", "tau")
    lines = [
        f"**{title}**",
        "",
        "| row | MRR | nDCG@10 | to the best plain row | calls | tokens | s / query | tau |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        form = {"calls": ".1f", "tokens": ".0f", "seconds": ".4f", "tau": ".3f"}
        costs = [format(row[key], form[key]) if key in row else "" for key in price]
        gain = f"{cell(row, 'gain', '+.3f')} {row['against']}" if "against" in row else ""
        lines.append(f"| {name} | {cell(row, 'mrr')} | {cell(row, 'ndcg')} | {gain} | {' | '.join(costs)} |")
    return "\n".join(lines) + "\n"


def load(models: Sequence[str], methods: Sequence[str]) -> dict[str, Ranker]:
    """`label=folder` (or a folder) for every method, named `label method`."""
    found = {}
    for entry in models:
        label, separator, folder = entry.partition("=")
        path = folder if separator else entry
        for method in methods:
            name = f"{label if separator else Path(entry).name} {method}"
            found[name] = Ranker(path, method=method, kv_cache_tokens=32768)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--model", action="append", default=[], help="label=folder; may be repeated")
    parser.add_argument("--method", nargs="*", choices=method_names(), default=["iranker", "dranker"])
    parser.add_argument(
        "--tasks",
        nargs="*",
        choices=[*BENCHMARK_TASKS, *OUT_OF_DOMAIN, *HELD_OUT],
        help=f"default: all but {' and '.join(HELD_OUT)}, which have a validation split alone; none where nothing "
        "follows",
    )
    parser.add_argument(
        "--limit", type=in_range(int, least=1), default=10_000, help="queries a task, at most"
    )
    parser.add_argument(
        "--lists",
        type=in_range(int, least=0),
        default=10_000,
        help="queries a TREC DL year, at most; 0: none",
    )
    parser.add_argument(
        "--split",
        choices=("validation", "test"),
        default="test",
        help="validation: no task that never trains, no lists",
    )
    parser.add_argument("--sampler", choices=("uniform", "popular"), default="uniform")
    parser.add_argument(
        "--shuffles",
        type=in_range(int, least=0),
        default=20,
        help="queries ranked again in another input order; 0: none, and no tau",
    )
    parser.add_argument("--json", type=Path, default=Path("quality.json"))
    options = parser.parse_args()
    if options.split == "test" and (held_out := HELD_OUT.keys() & set(options.tasks or [])):
        parser.error(f"{' and '.join(sorted(held_out))} has no test split: give --split validation")
    rankers = load(options.model, options.method)
    choosing = options.split == "validation"
    tasks = options.tasks
    if tasks is None:
        tasks = [*BENCHMARK_TASKS, *([] if choosing else OUT_OF_DOMAIN)]
    result: Figures = {
        "split": options.split,
        "limit": options.limit,
        "sampler": options.sampler,
        "tasks": {},
        "lists": {},
    }
    for task in tasks:
        queries, rows, routes = task_rows(
            task, rankers, options.split, options.limit, options.sampler, options.shuffles
        )
        result["tasks"][task] = {"queries": queries, "rows": rows}
        print(table(f"{task} ({queries} queries)", rows) + "\n" * bool(routes) + routes, flush=True)
        options.json.write_text(json.dumps(result, indent=1))
    for year in YEARS if options.lists and not choosing else ():
        rows = list_rows(year, rankers, options.lists)
        result["lists"][str(year)] = rows
        trained = " (its judgements train)" if year in TRAIN_YEARS else ""
        print(table(f"TREC DL 20{year} top-100{trained}", rows), flush=True)
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
