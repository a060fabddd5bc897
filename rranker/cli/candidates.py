"""Candidates from a file or stdin: a text a line, JSON lines, a JSON array, or a CSV table."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Any

from rranker.candidates import CandidateLike, as_candidates
from rranker.cli.lines import Faults, json_array, json_lines, name_of, numbered_lines, read_input
from rranker.files import ending, fault

_BY_ENDING = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_ARRAY = re.compile(rb"\[\s*[\"{]")  # of strings or objects: a text may well begin as "[1]" does
_LONGEST_FIELD = 2**31 - 1  # what a C long holds everywhere; Windows' is no longer


class InputFormat(StrEnum):
    """How candidates are written."""

    text = "text"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    tsv = "tsv"


def read_candidates(
    path: str, written: InputFormat | None, column: str, faults: Faults
) -> list[CandidateLike]:
    """The candidates of a file ("-": stdin), in its order. `column` holds the text of JSON objects and tables.

    `written` None goes by the name's ending, else by how it begins. Raises Failure for a broken line, naming it, unless
    `faults` skips it; ValueError when there is no candidate at all, and for a table whose last quote is never closed.
    """
    data = read_input(path)
    written = written or _guess(path, data)
    lines, unit = numbered_lines(path, data, faults), "line"
    rows: Iterable[tuple[int, Any]]
    if written is InputFormat.json:
        rows, unit = enumerate(json_array(path, data), start=1), "record"
    elif written in (InputFormat.csv, InputFormat.tsv):
        rows = _table(path, lines, "," if written is InputFormat.csv else "\t", faults)
    else:
        rows = _line_by_line(path, lines, written, faults)
    candidates = list[CandidateLike]()
    for number, row in rows:
        try:
            candidates.append(_candidate(row, column))
        except (ValueError, TypeError) as error:
            faults.add(fault(name_of(path), number, error, unit=unit))
    if not candidates:
        raise ValueError(f"{name_of(path)} holds no candidates")
    return candidates


def _guess(path: str, data: bytes) -> InputFormat:
    """By the name's ending; where that says nothing, by how it begins.

    JSON begins as an array of candidates, an object or a string does; all else is text. What is called `.json` is JSON,
    in an array or a value a line.
    """
    named = ending(path)
    if named in _BY_ENDING:
        return InputFormat(_BY_ENDING[named])
    start = data.lstrip()
    if named == ".json":
        return InputFormat.json if start.startswith(b"[") else InputFormat.jsonl
    if _ARRAY.match(start):
        return InputFormat.json
    is_json = start[:2] in (b'{"', b"{ ") or _is_json_string(start.splitlines()[0] if start else b"")
    return InputFormat.jsonl if is_json else InputFormat.text


def _is_json_string(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), str)
    except (ValueError, RecursionError):
        return False


def _line_by_line(
    path: str, lines: Iterator[tuple[int, str]], written: InputFormat, faults: Faults
) -> Iterator[tuple[int, Any]]:
    if written is InputFormat.text:
        return ((number, line.rstrip("\r\n")) for number, line in lines if line.strip())
    return json_lines(path, lines, faults)


def _table(
    path: str, lines: Iterator[tuple[int, str]], delimiter: str, faults: Faults
) -> Iterator[tuple[int, Any]]:
    last, ended = 0, False

    def text() -> Iterator[str]:
        nonlocal last, ended
        for number, line in lines:
            last = number
            yield line
        ended = True

    reader = csv.reader(text(), delimiter=delimiter)
    header = list[str]()
    while True:
        first = last + 1
        limit = csv.field_size_limit(_LONGEST_FIELD)  # the whole process's
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.add(fault(name_of(path), last, error))
            continue
        finally:
            csv.field_size_limit(limit)
        if ended:  # a whole row comes before its reader asks for a line that is not there
            reason = 'a quote that opens here is never closed: close it, or write "" for one that is text'
            raise fault(name_of(path), first, reason)
        if not row:
            continue
        if not header:
            header = row
        elif len(row) != len(header):
            reason = f"{len(row)} fields, where the header has {len(header)}"
            faults.add(fault(name_of(path), last, reason))
        else:
            # An empty cell says nothing, but for the text.
            yield last, {name: cell for name, cell in zip(header, row, strict=True) if cell}


def _candidate(row: Any, column: str) -> CandidateLike:
    own = None
    if isinstance(row, dict) and column != "text":
        if column not in row:
            raise ValueError(f"no {column!r}; it has {', '.join(map(repr, row)) or 'nothing'}")
        own = row.get("text")
        rest = {name: value for name, value in row.items() if name not in (column, "text")}
        row = {"text": row[column], **rest}
    try:
        (candidate,) = as_candidates([row])
    except (ValueError, TypeError) as error:
        kind = type(error)
        raise kind(str(error).replace("candidates[0]", "the candidate")) from error
    if own is None:
        return row  # type: ignore[no-any-return]
    return replace(candidate, metadata={**candidate.metadata, "text": own})  # a field like any other
