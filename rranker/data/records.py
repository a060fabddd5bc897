"""JSON and CSV files as they come; what cannot be read is named by file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

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


def json_lines(path: PathLike, parse: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """`parse(object)` of each line of a JSON-lines file. Raises ValueError naming file and line."""

    def parsed(line: str) -> T:
        row = json_value_of(line)
        if not isinstance(row, dict):
            raise ValueError(f"a JSON object is needed, not {type(row).__name__}")
        return parse(row)

    return parsed_lines(path, parsed)


def csv_rows(path: PathLike, parse: Callable[[Mapping[str, str]], T]) -> Iterator[T]:
    """`parse(row)` of each row of a CSV file under its header. Raises ValueError naming file and line."""
    # Line ends stay as they are: within quotes they belong to the field.
    reader = csv.DictReader(line for _, line in text_lines(path, newline=""))
    for row in reader:
        try:
            parsed = parse(row)
        except (ValueError, LookupError, TypeError) as error:
            raise fault(path, reader.line_num, error) from error
        yield parsed
