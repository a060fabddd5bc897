"""Whatever bytes are handed in, the readers give candidates, or an error that names file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rranker.candidates import as_candidates
from rranker.cli.candidates import InputFormat, read_candidates
from rranker.cli.collections import request_problems
from rranker.cli.errors import Failure
from rranker.cli.lines import Faults

ONE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "id", "x"]), inner, max_size=3)
    ),
)
LINES = st.lists(st.binary(max_size=30) | VALUES.map(lambda value: json.dumps(value).encode()), max_size=6)
CANDIDATES = st.fixed_dictionaries({"docid": VALUES, "doc": VALUES | st.just({"text": "a"})}) | VALUES
REQUESTS = VALUES | st.fixed_dictionaries(
    {
        "query": st.fixed_dictionaries({"text": VALUES, "qid": VALUES}) | VALUES,
        "candidates": st.lists(CANDIDATES, max_size=3),
    }
)


@ONE
@given(
    lines=LINES | st.lists(VALUES, max_size=4).map(lambda values: [json.dumps(values).encode()]),
    ending=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    written=st.sampled_from([None, *InputFormat]),
)
def test_candidates_of_any_bytes(
    lines: list[bytes], ending: bytes, written: InputFormat | None, tmp_path: Path
) -> None:
    path = tmp_path / "input"
    path.write_bytes(ending.join(lines))
    faults = Faults(skip=True)
    try:
        kept = read_candidates(str(path), written, "text", faults)
    except ValueError as error:
        if str(path) in str(error):
            return
        raise
    assert len(as_candidates(kept)) == len(kept) > 0
    if faults.count:
        with pytest.raises(Failure, match=r"(line|record) \d+"):
            read_candidates(str(path), written, "text", Faults(skip=False))


@ONE
@given(records=st.lists(REQUESTS, max_size=4), whole=st.booleans())
def test_requests_of_any_json(records: list[object], whole: bool, tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps(records) if whole else "\n".join(map(json.dumps, records)))
    faults = Faults(skip=True)
    try:
        problems = request_problems(str(path), path.read_bytes(), 100, faults)
    except ValueError as error:  # a first line that is a list: then the file should be one
        if not whole and f"{path}, line " in str(error):
            return
        raise
    if whole:
        assert len(problems) + faults.count == len(records)
    assert all(problem.documents and isinstance(problem.query, str) for problem in problems)
