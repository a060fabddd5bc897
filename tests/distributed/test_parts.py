"""Rows, parts and workers, without Ray."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from rranker.distributed.job import rank_files
from rranker.distributed.parts import (
    Counts,
    as_row,
    claim,
    part_path,
    read_done,
    read_results,
    row_key,
    write_finished,
    write_part,
)
from rranker.distributed.worker import RankWorker
from tests.support.samples import QUERY, TEXTS


@pytest.mark.parametrize(
    ("record", "row"),
    [
        ('{"qid": 7, "query": "q", "candidates": []}', {"id": "7", "query": "q", "candidates": []}),
        ({"id": "a", "query": "q", "instruction": None}, {"id": "a", "query": "q"}),
    ],
)
def test_rows_are_read_and_their_ids_are_texts(record: Any, row: dict[str, Any]) -> None:
    assert as_row(record) == row


def test_a_column_called_error_is_no_failure() -> None:
    assert as_row({"id": 1, "query": "q", "error": "of an earlier job"}) == {"id": "1", "query": "q"}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("[1]", "a line must be an object, not list"),
        ('{"query": "q"}', "a query needs one id"),
        ('{"id": 1, "qid": 2}', "a query needs one id"),
        ({"id": 1.5}, "not whole"),
    ],
)
def test_what_cannot_be_read_says_why_and_is_the_same_row_every_time(record: Any, reason: str) -> None:
    assert reason in as_row(record)["error"]
    assert as_row(record) == as_row(record)
    assert as_row(record)["id"] != as_row("{{")["id"]


OLD = {"id": "old", "query": QUERY, "candidates": TEXTS}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> RankWorker:
    return RankWorker(
        str(tmp_path_factory.mktemp("parts")),
        {"dtype": "float32"},
        {"template": "passage"},
        {row_key(OLD)},
        "text",
    )


def test_a_batch_is_ranked_and_written_and_errors_stay_with_their_query(worker: RankWorker) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    good = {"id": "good", "query": QUERY, "candidates": TEXTS}
    lines = [
        json.dumps(good),
        json.dumps(OLD),
        json.dumps({**good, "id": "bad", "candidates": [1]}),
        "{",
    ]
    assert worker(pyarrow.table({"text": lines})).to_pylist() == [{"ranked": 1, "failed": 2, "skipped": 1}]
    results = {result["id"]: result for result in read_results(worker.folder)}
    assert results["good"]["order"] == worker.ranker.rank(QUERY, TEXTS, template="passage").order
    assert "must be a string" in results["bad"]["error"]
    assert sum(name.startswith("unreadable-") for name in results) == 1
    assert not [path for path in worker.folder.iterdir() if path.name.startswith(".")]


def test_a_part_that_a_dead_worker_had_written_is_not_ranked_again(worker: RankWorker) -> None:
    path = part_path(worker.folder, [{"id": "x", "query": QUERY, "candidates": TEXTS}])
    path.write_text('{"id": "x", "order": [1, 0], "scores": [1, 0], "relevance": [1, 0]}\n')
    assert worker.rank([{"id": "x", "query": QUERY, "candidates": TEXTS}]) == Counts(ranked=1)
    assert path.read_text().startswith('{"id": "x", "order": [1, 0]')


def test_a_broken_device_ends_the_job_and_nothing_counts_as_done(
    worker: RankWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(queries: list[Any], **_: Any) -> list[Exception]:
        return [torch.AcceleratorError("CUDA error: unspecified launch failure") for _ in queries]

    monkeypatch.setattr(worker.ranker, "rank_batch", broken)
    with pytest.raises(torch.AcceleratorError, match="unspecified launch failure"):
        worker.rank([{"id": "lost", "query": QUERY, "candidates": TEXTS}])
    assert not any("lost" in path.read_text() for path in Path(worker.folder).glob("part-*"))


def test_parts_of_parquet_hold_what_those_of_lines_hold(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    results: list[dict[str, Any]] = [
        {"id": "a", "order": [2, 0, 1], "scores": [0.9, 0.5, 0.1], "relevance": [0.7, 0.7, 0.1]},
        {"id": "b", "order": [0], "scores": [1 / 3], "relevance": [None]},
        {"id": "c", "error": "ValueError: no"},
    ]
    read = {}
    for form in ("jsonl", "parquet"):
        rows = [{"id": name} for name in "abc"]
        path = part_path(tmp_path / form, rows, form)
        path.parent.mkdir()
        write_part(path, rows, results)
        assert read_done(path.parent) == set(map(row_key, rows))
        read[form] = list(read_results(path.parent))
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert read["jsonl"] == read["parquet"] == results


def test_two_machines_with_equal_process_ids_may_write_one_part_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one begins and ends while the first one writes."""
    rows, results = [{"id": "a"}], [{"id": "a", "order": [0], "scores": [1.0], "relevance": [None]}]
    path, write = part_path(tmp_path, rows), Path.write_text

    def interrupted(self: Path, *args: Any, **options: Any) -> int:
        monkeypatch.setattr(Path, "write_text", write)
        written = self.write_text(*args, **options)
        write_part(path, rows, results)
        return written

    monkeypatch.setattr(Path, "write_text", interrupted)
    write_part(path, rows, results)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert list(read_results(tmp_path)) == results


def test_what_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    rows = [{"id": "a"}]
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_part(part_path(tmp_path, rows), rows, [{"id": object()}])
    blocked = part_path(tmp_path, rows)
    blocked.mkdir()
    with pytest.raises(OSError, match="irectory"):
        write_part(blocked, rows, [{"id": "a"}])
    assert [file.name for file in tmp_path.iterdir()] == [blocked.name]


def test_the_arithmetic_of_the_page_is_what_its_code_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/scale.md").read_text(encoding="utf-8")
    *_, code, shown = re.findall(r"^```\w*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(code, {})
    assert capsys.readouterr().out == shown


def test_a_folder_belongs_to_one_job(tmp_path: Path) -> None:
    """Else the rankings of two models would lie in one folder, and nobody could tell them apart."""
    path, out = tmp_path / "a.jsonl", tmp_path / "out"
    path.touch()
    files = {str(path): [0, path.stat().st_mtime_ns]}
    claim(out, {"inputs": [str(path)], "files": files, "load": {}, "settings": {}, "parts": "jsonl"})
    write_finished(out, Counts(ranked=3))
    assert rank_files(path, out) == Counts(skipped=3)
    for other in ({"load": {"dtype": "float32"}}, {"settings": {"top_k": 3}}, {"parts": "parquet"}):
        with pytest.raises(ValueError, match=r"another job.*a\.jsonl"):
            rank_files(path, out, **other)


def test_a_folder_belongs_to_the_weights_of_one_model(tmp_path: Path) -> None:
    path, model, out = tmp_path / "a.jsonl", tmp_path / "model", tmp_path / "out"
    path.touch()
    model.mkdir()
    (model / "config.json").touch()
    known = {str(file): [0, file.stat().st_mtime_ns] for file in (path, model / "config.json")}
    load = {"model": str(model)}
    claim(out, {"inputs": [str(path)], "files": known, "load": load, "settings": {}, "parts": "jsonl"})
    write_finished(out, Counts(ranked=3))
    assert rank_files(path, out, load=load) == Counts(skipped=3)
    (model / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"another job.*a\.jsonl"):
        rank_files(path, out, load=load)


def test_wrong_inputs_are_named(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.parquet", "c.csv"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="as jsonl or parquet, not as 'csv'"):
        rank_files(tmp_path / "a.jsonl", tmp_path / "out", parts="csv")
    with pytest.raises(FileNotFoundError, match="no files"):
        rank_files([], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"no such file: .*missing"):
        rank_files(tmp_path / "missing.jsonl", tmp_path / "out")
    with pytest.raises(ValueError, match=r"c\.csv"):
        rank_files(tmp_path / "c.csv", tmp_path / "out")
    with pytest.raises(ValueError, match=r"all be \.parquet"):
        rank_files([tmp_path / "a.jsonl", tmp_path / "b.parquet"], tmp_path / "out")


def test_queries_of_two_files_may_have_the_same_ids(worker: RankWorker) -> None:
    for texts in (TEXTS, TEXTS[::-1], TEXTS[:2]):
        assert worker.rank([{"id": "twice", "query": QUERY, "candidates": texts}]).ranked == 1
    found = [result["order"] for result in read_results(worker.folder) if result["id"] == "twice"]
    assert sorted(map(len, found)) == [2, len(TEXTS), len(TEXTS)]


def test_a_job_that_goes_on_ranks_the_query_of_another_file_whose_id_is_done(
    worker: RankWorker, tmp_path: Path
) -> None:
    first, other = ({"id": "1", "query": QUERY, "candidates": texts} for texts in (TEXTS, TEXTS[:2]))
    worker.folder = tmp_path
    assert worker.rank([first]) == Counts(ranked=1)
    worker.done = frozenset(read_done(tmp_path))
    assert worker.rank([first, other]) == Counts(ranked=1, skipped=1)
    assert sorted(len(result["order"]) for result in read_results(tmp_path)) == [2, len(TEXTS)]
