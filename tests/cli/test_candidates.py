"""Candidates as files hold them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from rranker import Candidate
from rranker.cli.candidates import read_candidates
from rranker.cli.errors import Failure
from rranker.cli.lines import Faults


def test_a_field_of_a_table_may_be_as_long_as_a_c_long_says_on_every_system(tmp_path: Path) -> None:
    """Windows' has 32 bits: a larger limit is an error there, before a line is read."""
    table = tmp_path / "long.csv"
    table.write_text("text,id\n" + "a" * 200_000 + ",7\n")
    csv.field_size_limit(131_072)
    assert read_candidates(str(table), None, "text", Faults(skip=False)) == [
        {"text": "a" * 200_000, "id": "7"}
    ]
    assert csv.field_size_limit() < 2**31


BOTH = ["tea", {"text": "bees", "id": "b"}]


@pytest.mark.parametrize(
    ("name", "written", "candidates"),
    [
        ("a.json", json.dumps(BOTH, indent=2), BOTH),
        ("a.json", "\n".join(map(json.dumps, BOTH)), BOTH),
        ("a", "\n " + json.dumps(BOTH), BOTH),
        ("a", json.dumps(BOTH[1:]), BOTH[1:]),
        ("a", '"tea"\n"a \\"b\\""\n', ["tea", 'a "b"']),
        ("a", '\n{"text": "bees", "id": "b"}\n"tea"\n', BOTH[::-1]),
        ("a", '"Emma", she said.\n[1] a note\n', ['"Emma", she said.', "[1] a note"]),
        ("a", "[1] a note\n[]\n", ["[1] a note", "[]"]),
        ("a", "text,id\ntea,1\n", ["text,id", "tea,1"]),
    ],
)
def test_the_beginning_says_what_a_name_does_not(
    name: str, written: str, candidates: list[object], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(written)
    assert read_candidates(str(path), None, "text", Faults(skip=False)) == candidates


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('["tea", 7]', "a.json, record 2: "),
        ('["tea",\n"bees"', "a.json, line 2: not JSON"),
        ("tea", "a.json, line 1: not JSON"),
        ("[]", "a.json holds no candidates"),
    ],
)
def test_what_is_no_array_of_candidates_is_named(written: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(written)
    with pytest.raises((Failure, ValueError), match=message):
        read_candidates(str(path), None, "text", Faults(skip=False))


def test_a_text_beside_the_text_column_stays_with_the_record(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"body": "tea", "text": "a note", "id": 7, "year": 1999}\n{"body": "bees"}\n'
    )
    first, second = read_candidates(str(tmp_path / "a.jsonl"), None, "body", Faults(skip=False))
    assert first == Candidate("tea", 7, {"year": 1999, "text": "a note"})
    assert second == {"text": "bees"}


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("skip", [False, True])
def test_a_quote_that_is_never_closed_does_not_make_one_text_of_the_rest(
    end: str, skip: bool, tmp_path: Path
) -> None:
    table = tmp_path / "open.tsv"
    table.write_text(f'id\ttext\n1\t"a ""b"" of\ntwo lines"\n2\t"bees\n3\ttea\n4\thoney{end}')
    with pytest.raises(ValueError, match=r"open\.tsv, line 4: a quote that opens here is never closed"):
        read_candidates(str(table), None, "text", Faults(skip=skip))
    table.write_text(f'id\ttext\n1\t"a ""b"" of\ntwo lines"\n2\t5" of bees\n3\t"tea"{end}')
    texts = [row["text"] for row in read_candidates(str(table), None, "text", Faults(skip=skip))]  # type: ignore[index]
    assert texts == ['a "b" of\ntwo lines', '5" of bees', "tea"]
