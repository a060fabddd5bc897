"""A user's own files: what is read from them, what is refused and how it is named, and what is held out."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rranker.data import RankingExample, in_validation, own_examples, read_examples, write_parquet

GOOD = {"query": "who?", "candidates": ["a", "b"], "relevance": [0, 1]}


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("name", ["a.ndjson", "A.JSONL", "a.NDJSON.gz"])
def test_files_of_json_lines_are_known_by_their_names_however_those_are_spelled(
    tmp_path: Path, name: str
) -> None:
    data = json.dumps(GOOD).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert [example.query for example in read_examples(tmp_path / name)] == ["who?"]


def test_a_row_has_defaults_and_may_say_everything(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl",
        GOOD,
        "",
        {**GOOD, "query": ["x", "y"], "relevance": [True, False], "extra": 1},
        {**GOOD, "task": "routing", "instruction": "Be cheap.", "id": 7, "relevance": [-0.5, 1e-3]},
    )
    expected = [
        RankingExample("passage", "who?", None, ["a", "b"], [0.0, 1.0], "a.jsonl:1"),
        RankingExample("recommendation", ["x", "y"], None, ["a", "b"], [1.0, 0.0], "a.jsonl:3"),
        RankingExample("routing", "who?", "Be cheap.", ["a", "b"], [-0.5, 1e-3], "7"),
    ]
    assert read_examples(path) == expected
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [example.candidates for example in read_examples(packed)] == [["a", "b"]] * 3


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (
            {"query": "q", "candidates": ["a", "b"]},
            "relevance is missing; the row has query, candidates. A row",
        ),
        ({**GOOD, "query": None}, "query is null"),
        ({**GOOD, "candidates": None}, "candidates is null"),
        ({**GOOD, "history": ["Heat"]}, "query and history are both given"),
        ({**GOOD, "query": 5}, "query must be a string, or a history"),
        ({**GOOD, "query": ["a", 5]}, r"query\[1\] must be a string"),
        ({**GOOD, "candidates": "ab"}, "candidates must be"),
        ({**GOOD, "candidates": ["a", 5]}, r"candidates\[1\]"),
        ({**GOOD, "relevance": 1}, "relevance must be a list of numbers, not int"),
        ({**GOOD, "relevance": ["1", 0]}, r"relevance\[0\] must be a number, not str"),
        ({**GOOD, "relevance": [None, 0]}, r"relevance\[0\] must be a number, not NoneType"),
        ('{"query": "q", "candidates": ["a", "b"], "relevance": [0, NaN]}', r"relevance\[1\] is nan"),
        ({**GOOD, "relevance": [10**400, 0]}, r"relevance\[0\] is too large"),
        ({**GOOD, "relevance": [1e308, -1e308]}, "relevance runs from -1e.308 to 1e.308: too far apart"),
        ({**GOOD, "relevance": [1]}, "relevance holds 1 numbers for 2 candidates: give one each"),
        (
            {**GOOD, "candidates": ["a"], "relevance": [1]},
            "1 candidates: a list to learn from has at least 2",
        ),
        ({**GOOD, "relevance": [2, 2]}, "all candidates have the relevance 2: .* leave it out"),
        ({**GOOD, "task": "pasage"}, "unknown template 'pasage'"),
        ({**GOOD, "instruction": 3}, "instruction must be a string"),
        ({**GOOD, "id": 1.5}, "id .*1.5"),
        ("[1]", "a JSON object is needed, not list"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path: Path, row: Any, cause: str) -> None:
    path = jsonl(tmp_path / "own.jsonl", GOOD, "", row, GOOD)
    with pytest.raises(ValueError, match=rf"own\.jsonl, line 3: .*{cause}") as caught:
        read_examples(path)
    assert isinstance(caught.value.__cause__, TypeError | ValueError)


def test_the_first_wrong_rows_are_told_at_once_and_the_rest_counted(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "own.jsonl", *[{**GOOD, "relevance": [number]} for number in range(7)], GOOD)
    with pytest.raises(ValueError) as caught:
        read_examples(path)
    head, *faults = str(caught.value).splitlines()
    assert head == "7 of 8 rows cannot be used, here are the first 5:"
    assert [fault.partition(":")[0] for fault in faults] == [f"{path}, line {n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("own.csv", "a", r"format of .*own\.csv: use \.jsonl"),
        ("own.jsonl", "\n\n", "own.jsonl holds no rows"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_examples(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_examples(tmp_path / "absent.jsonl")


def test_parquet_holds_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the train extra")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    cases = [
        RankingExample("generic", "who?", None, ["a", "b"], [0.0, 2.5], "1"),
        RankingExample("recommendation", ["x", "ü"], "Be kind.", ["c", "d"], [1.0, 0.0], "2"),
    ]
    write_parquet(cases, tmp_path / "cases.parquet")
    assert read_examples(tmp_path / "cases.parquet") == cases
    datasets.Dataset.from_list([GOOD, GOOD | {"relevance": [1, 1]}]).to_parquet(tmp_path / "own.parquet")
    with pytest.raises(ValueError, match=r"own\.parquet, row 2: all candidates have the relevance 1"):
        read_examples(tmp_path / "own.parquet")
    whole = (tmp_path / "own.parquet").read_bytes()
    for name, data in (("text.parquet", b"a"), ("cut.parquet", whole[: len(whole) // 2])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=rf"{name} is not a"):
            read_examples(tmp_path / name)


def test_parquet_may_hold_decimals_and_columns_that_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets", reason="needs the train extra")
    arrow = pytest.importorskip("pyarrow", reason="needs the train extra")
    from pyarrow import parquet

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    grades = arrow.array([[Decimal("0.5"), Decimal("0")]], type=arrow.list_(arrow.decimal128(4, 2)))
    labels = arrow.array([[("shelf", "3")]], type=arrow.map_(arrow.string(), arrow.string()))
    columns = {"query": ["who?"], "candidates": [["a", "b"]], "relevance": grades}
    parquet.write_table(arrow.table({**columns, "labels": labels}), tmp_path / "own.parquet")
    (example,) = read_examples(tmp_path / "own.parquet")
    assert (example.query, example.candidates, example.relevance) == ("who?", ["a", "b"], [0.5, 0.0])


def test_no_held_out_query_trains(tmp_path: Path) -> None:
    rows = [{**GOOD, "query": f"query {number % 100}"} for number in range(200)]
    path = jsonl(tmp_path / "own.jsonl", *rows)
    training, held_out = own_examples([path])
    assert len(training) + len(held_out) == 200
    assert held_out == [row for row in read_examples(path) if in_validation(str(row.query))]
    assert {row.query for row in training}.isdisjoint(row.query for row in held_out)
    assert 0 < len(held_out) < 50
    other = jsonl(tmp_path / "other.jsonl", {**GOOD, "query": "query 5"}, {**GOOD, "query": "new"})
    training, held_out = own_examples([path, path], other)
    assert [row.query for row in held_out] == ["query 5", "new"]
    assert len(training) == 396
    with pytest.raises(ValueError, match="nothing is left to train on: all 200 rows"):
        own_examples([path], path)
