"""JSON, CSV and XML files as they come; what cannot be read is named by file and line, or by file and record."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from xml.etree import ElementTree

from rranker.files import PathLike, fault, parsed_lines, text_lines

T = TypeVar("T")


def json_file(path: PathLike) -> Any:
    """The value a JSON file holds. Raises ValueError naming file and line."""
    text = "\n".join(line for _, line in text_lines(path))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise fault(path, error.lineno, f"not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets without end
        raise fault(path, 1, f"JSON that cannot be read: {error}") from error


def json_value_of(line: str) -> Any:
    """The value of one line of JSON. Raises ValueError, without the line's number, for what is none."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError(f"JSON that cannot be read: {error}") from error


def json_object_of(line: str) -> dict[str, Any]:
    """The object of one line of JSON. Raises ValueError, without the line's number, for what is none."""
    row = json_value_of(line)
    if not isinstance(row, dict):
        raise ValueError(f"a JSON object is needed, not {type(row).__name__}")
    return row


def json_lines(path: PathLike, parse: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """`parse(object)` of each line of a JSON-lines file. Raises ValueError naming file and line."""
    return parsed_lines(path, lambda line: parse(json_object_of(line)))


def json_records(path: PathLike, parse: Callable[[Any], T], *, within: str | None = None) -> Iterator[T]:
    """`parse(record)` of each record of a JSON file: a list, or an object that has the list under `within`.

    Raises ValueError naming the file, and the line or the record that cannot be read.
    """
    value = json_file(path)
    records = value.get(within) if within is not None and isinstance(value, dict) else value
    if not isinstance(records, list):
        where = "a list" if within is None else f"an object with a list {within!r}"
        raise fault(path, 1, f"{where} of records is needed")
    return parsed_records(path, records, parse)


def parsed_records(path: PathLike, records: Iterable[Any], parse: Callable[[Any], T]) -> Iterator[T]:
    """`parse(record)` of each. Raises ValueError naming file and record, counted from 1."""
    for number, record in enumerate(records, start=1):
        try:
            parsed = parse(record)
        except (ValueError, LookupError, TypeError) as error:
            raise fault(path, number, error, unit="record") from error
        yield parsed


def csv_rows(path: PathLike, parse: Callable[[Mapping[str, str]], T], *, delimiter: str = ",") -> Iterator[T]:
    """`parse(row)` of each row of a CSV file under its header. Raises ValueError naming file and line."""
    # Line ends stay as they are: within quotes they belong to the field.
    return csv_records(path, (line for _, line in text_lines(path, newline="")), parse, delimiter=delimiter)


def csv_records(
    path: PathLike, lines: Iterable[str], parse: Callable[[Mapping[str, str]], T], *, delimiter: str = ","
) -> Iterator[T]:
    """`csv_rows` of lines (with their ends) that are read already; `path` is only named."""
    reader = csv.DictReader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(reader)
            parsed = parse(row)
        except StopIteration:
            return
        except (csv.Error, ValueError, LookupError, TypeError) as error:
            raise fault(path, reader.reader.line_num, error) from error
        yield parsed


def xml_root(path: PathLike, data: bytes) -> ElementTree.Element:
    """The root element of an XML file's bytes. Raises ValueError naming file and line."""
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise fault(os.fsdecode(path), error.position[0], f"not XML: {error.msg}") from error
