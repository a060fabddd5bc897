"""Over Ray: the local result, with a worker killed half-way; stopped and started again."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rranker import Ranker
from rranker.distributed.parts import as_row, read_results
from rranker.distributed.worker import RankWorker
from tests.support.samples import QUERY, TEXTS

pytestmark = pytest.mark.slow
N = 24
SETTINGS = {"template": "passage"}
LOAD = {"dtype": "float32", "device": "cpu"}  # orders do not depend on who shares a pass


def queries() -> list[dict[str, Any]]:
    return [{"id": f"q{i}", "query": f"{QUERY} {i}", "candidates": TEXTS[i % 3 :]} for i in range(N)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # tests talk to nobody
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'rranker[ray]'")
    ray.init(num_cpus=3, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def expected() -> dict[str, list[int]]:
    with Ranker(**LOAD) as ranker:  # type: ignore[arg-type]
        rankings = ranker.rank_batch(queries(), **SETTINGS, progress=False)
    return {str(ranking.query_id): ranking.order for ranking in rankings}


def orders(folder: Path) -> dict[str, list[int]]:
    results = list(read_results(folder))
    assert len(results) == len({result["id"] for result in results})  # nobody twice
    return {result["id"]: result["order"] for result in results}


def kill_a_worker_after_the_first_part(folder: Path, killed: list[int]) -> None:
    while not list(folder.glob("part-*")):
        time.sleep(0.02)
    workers = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("ray::MapWorker")]
    workers[0].kill()
    killed.append(workers[0].pid)


def test_with_a_worker_killed_half_way_the_result_is_the_local_one(
    cluster: Any, expected: dict[str, list[int]], tmp_path: Path
) -> None:
    from rranker.distributed import Counts, rank_files

    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    lines = [json.dumps(query) + "\n" for query in queries()]
    files[0].write_text("".join(lines[: N // 2]))
    files[1].write_text("".join(lines[N // 2 :]))
    out, killed = tmp_path / "out", list[int]()
    killer = threading.Thread(target=kill_a_worker_after_the_first_part, args=(out, killed))
    killer.start()
    job: dict[str, Any] = {
        "workers": 2,
        "batch_size": 2,
        "load": LOAD,
        "settings": SETTINGS,
        "progress": False,
    }
    counts = rank_files(files, out, **job)
    killer.join()
    assert killed
    assert counts == Counts(ranked=N)
    assert orders(out) == expected
    assert rank_files(files, out, **job) == Counts(skipped=N)  # at once: all is done


def test_a_job_that_was_stopped_goes_on_from_parquet(
    cluster: Any, expected: dict[str, list[int]], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    from rranker.distributed import Counts, rank_files

    path, out, stopped = tmp_path / "queries.parquet", tmp_path / "out", 10
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(queries()), path)
    out.mkdir()
    worker = RankWorker(str(out), LOAD, dict(SETTINGS), (), None, "parquet")
    assert worker.rank([as_row(query) for query in queries()[:stopped]]) == Counts(ranked=stopped)
    job = {"workers": 1, "batch_size": 6, "load": LOAD, "settings": dict(SETTINGS), "progress": False}
    counts = rank_files(path, out, parts="parquet", **job)
    assert counts == Counts(ranked=N - stopped, skipped=stopped)
    assert {file.suffix for file in out.glob("part-*")} == {".parquet"}
    assert orders(out) == expected


def test_a_wrong_setting_claims_no_folder_and_starts_no_worker(tmp_path: Path) -> None:
    from rranker.distributed import rank_files

    (tmp_path / "in.jsonl").write_text('{"id": 1, "query": "q", "candidates": ["a", "b"]}')
    for wrong in ({"templat": "passage"}, {"template": "nonsense"}, {"method": "nonsense"}):
        with pytest.raises((TypeError, ValueError), match=r"templat|nonsense"):
            rank_files(tmp_path / "in.jsonl", tmp_path / "out", settings=wrong)
    assert not (tmp_path / "out").exists()
