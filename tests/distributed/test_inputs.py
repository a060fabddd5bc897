"""A job knows its inputs by more than their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rranker.distributed.job import rank_files
from rranker.distributed.parts import Counts, write_finished


def test_files_of_json_lines_may_be_called_ndjson_and_what_ray_cannot_tell_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    for name in ("a.ndjson", "a.ndjson.gz", "a.JSONL"):
        (tmp_path / name).write_text("")
    with pytest.raises(ImportError, match="this needs Ray"):
        rank_files([tmp_path / "a.ndjson", tmp_path / "a.ndjson.gz"], tmp_path / "out")
    with pytest.raises(ValueError, match=r"in lower case: .*a\.JSONL"):
        rank_files(tmp_path / "a.JSONL", tmp_path / "out")


def test_inputs_that_changed_under_their_names_are_another_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray is kept away: what is asked is whether the folder is taken."""
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    queries, out = tmp_path / "queries.jsonl", tmp_path / "out"
    row = {"id": "1", "query": "tea", "candidates": ["a", "b"]}
    queries.write_text(json.dumps(row) + "\n")
    with pytest.raises(ImportError, match="this needs Ray"):
        rank_files(queries, out)
    write_finished(out, Counts(ranked=1))
    assert rank_files(queries, out).skipped == 1
    queries.write_text(json.dumps(row) + "\n" + json.dumps({**row, "id": "2"}) + "\n")
    with pytest.raises(
        ValueError, match=r"rankings of another job: take another folder, or the inputs .unchanged since"
    ):
        rank_files(queries, out)
