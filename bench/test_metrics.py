"""nDCG@10 + AP + RR over 10,000 queries x 100 documents, beside pytrec_eval and ranx.

`python -m bench.test_metrics` prints the table; under pytest each row is one benchmark. Peers' per-query
figures must equal ours before its time counts. Peers that are not installed are left out, and named.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rranker import metrics
from rranker.metrics import Columns, Evaluation, evaluate

MEASURES = ["nDCG@10", "AP", "RR"]
QUERIES, DOCS, JUDGED, POOL = 10_000, 100, 30, 400


@cache
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ids drawn from a pool of 400 a query, 30 of them judged 0-3; distinct scores in single precision."""
    rng = np.random.default_rng(0)
    pool = np.arange(QUERIES)[:, None] * POOL + rng.permuted(np.tile(np.arange(POOL), (QUERIES, 1)), axis=1)
    ids = pool[:, :DOCS]
    judged = np.concatenate([pool[:, : JUDGED // 2], pool[:, DOCS : DOCS + JUDGED - JUDGED // 2]], axis=1)
    levels = rng.integers(0, 4, size=judged.shape)
    scores = rng.permuted(np.tile(np.arange(DOCS) / 128.0, (QUERIES, 1)), axis=1)
    return judged, levels, ids, scores


@cache
def dicts() -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    judged, levels, ids, scores = data()
    return _by_name(judged, levels), _by_name(ids, scores)


def _by_name(ids: np.ndarray, values: np.ndarray) -> dict[str, dict[str, Any]]:
    return {
        f"q{q}": {f"d{d:07d}": v for d, v in zip(*row, strict=True)}
        for q, row in enumerate(zip(ids.tolist(), values.tolist(), strict=True))
    }


@cache
def files() -> tuple[Path, Path]:
    folder = Path(tempfile.mkdtemp())
    qrels, run = dicts()
    metrics.write_qrels(folder / "qrels.txt", qrels)
    metrics.write_run(folder / "run.trec", run)
    return folder / "qrels.txt", folder / "run.trec"


@cache
def columns() -> tuple[Columns, Columns]:
    judged, levels, ids, scores = data()
    names = [f"q{i}" for i in range(QUERIES)]
    return Columns(judged, levels, queries=names), Columns(ids, scores, queries=names)


def ours_arrays() -> Evaluation:
    qrels, run = columns()
    return evaluate(qrels, run, MEASURES)


def ours_dicts() -> Evaluation:
    qrels, run = dicts()
    return evaluate(qrels, run, MEASURES)


def ours_files() -> Evaluation:
    qrels, run = files()
    return evaluate(qrels, run, MEASURES)


def pytrec_dicts() -> Any:
    import pytrec_eval

    qrels, run = dicts()
    return pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map", "recip_rank"}).evaluate(run)


@cache
def ranx_objects() -> tuple[Any, Any]:
    import ranx

    return ranx.Qrels(dicts()[0]), ranx.Run(dicts()[1])


def ranx_arrays() -> Any:
    import ranx

    qrels, run = ranx_objects()
    return ranx.evaluate(qrels, run, ["ndcg@10", "map", "mrr"], return_mean=False)


def ranx_files() -> Any:
    import ranx

    paths = files()
    qrels = ranx.Qrels.from_file(str(paths[0]), kind="trec")
    run = ranx.Run.from_file(str(paths[1]), kind="trec")
    return ranx.evaluate(qrels, run, ["ndcg@10", "map", "mrr"], return_mean=False)


WAYS: dict[str, Callable[[], Any]] = {
    "arrays: ours": ours_arrays,
    "arrays: ranx (objects built, numba warm)": ranx_arrays,
    "dicts: ours": ours_dicts,
    "dicts: pytrec_eval": pytrec_dicts,
    "files: ours": ours_files,
    "files: ranx": ranx_files,
}


def check(name: str, result: Any) -> None:
    """Per-query equality with our figures from arrays."""
    reference = ours_arrays()
    if "ours" in name:
        for measure in MEASURES:
            assert result.per_query(measure) == reference.per_query(measure)
    elif "pytrec" in name:
        for ours, theirs in zip(MEASURES, ("ndcg_cut_10", "map", "recip_rank"), strict=True):
            assert {q: v[theirs] for q, v in result.items()} == reference.per_query(ours)
    else:  # ranx orders queries as text
        for ours, theirs in zip(MEASURES, ("ndcg@10", "map", "mrr"), strict=True):
            values = reference.per_query(ours)
            names = sorted(values)
            np.testing.assert_allclose(result[theirs], [values[q] for q in names], atol=1e-9)


@pytest.mark.parametrize("name", WAYS)
def test_evaluate(benchmark: BenchmarkFixture, name: str) -> None:
    if "pytrec" in name:
        pytest.importorskip("pytrec_eval")
    if "ranx" in name:
        pytest.importorskip("ranx")
    check(name, WAYS[name]())
    benchmark.pedantic(WAYS[name], rounds=3, warmup_rounds=1)


def main() -> None:
    seconds = {}
    for name, way in WAYS.items():
        try:
            check(name, way())
        except ImportError as error:
            print(f"{name}: left out ({error})", file=sys.stderr)
            continue
        times = []
        for _ in range(5):
            gc.collect()
            start = time.perf_counter()
            way()
            times.append(time.perf_counter() - start)
        seconds[name] = min(times)
    print(f"{' + '.join(MEASURES)}, {QUERIES} queries x {DOCS} documents, {JUDGED} judged; best of 5")
    for name, value in seconds.items():
        kind = name.split(":")[0]
        peers = {
            n: s for n, s in seconds.items() if "ours" not in n and (n.startswith(kind) or "pytrec" in n)
        }
        ratios = (
            "  ".join(f"{s / value:5.1f}x faster than {n}" for n, s in peers.items())
            if "ours" in name
            else ""
        )
        print(f"{name:42s} {value * 1000:9.1f} ms  {ratios}")


if __name__ == "__main__":
    main()
