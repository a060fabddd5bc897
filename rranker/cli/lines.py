"""Input line by line, from a file or stdin; a line that is broken is named, or on request skipped and counted."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rranker.cli.errors import ExitCode, Failure, say
from rranker.files import fault, plain_bytes, read_bytes, without_nul

STDIN = "-"
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|$)")
_SHOWN = 5


@dataclass(slots=True)
class Faults:
    """What becomes of broken lines: the first ends the command, or with `skip` each is counted."""

    skip: bool
    count: int = 0

    def add(self, error: ValueError) -> None:
        """Takes note of one. Raises Failure when lines are not to be skipped."""
        if not self.skip:
            raise Failure(f"{error} (--skip-broken leaves such lines out)", ExitCode.DATA) from error
        self.count += 1
        if self.count <= _SHOWN:
            say(f"skipped: {error}")

    def report(self) -> None:
        """Says how many were skipped, if any."""
        if self.count:
            say(f"{self.count} broken {'line' if self.count == 1 else 'lines'} skipped")


def name_of(path: str) -> str:
    """What messages call it."""
    return "stdin" if path == STDIN else path


def read_input(path: str) -> bytes:
    """All of a file, or of stdin for "-", as UTF-8 (`rranker.files.plain_bytes`). Raises Failure at a terminal."""
    if path != STDIN:
        return read_bytes(path)
    if sys.stdin.isatty():
        raise Failure("no input: name a file, or pipe it in", ExitCode.USAGE)
    return plain_bytes(sys.stdin.buffer.read(), name_of(path))


def numbered_lines(path: str, data: bytes, faults: Faults) -> Iterator[tuple[int, str]]:
    """(number from 1, line with its end) of each line that is UTF-8 without NUL bytes; blank ones too."""
    for number, match in enumerate(_LINE.finditer(data), start=1):
        if not match[0]:
            return
        try:
            yield number, without_nul(match[0].decode("utf-8").removeprefix("\ufeff"))
        except UnicodeDecodeError as error:
            faults.add(fault(name_of(path), number, f"not UTF-8 text ({error.reason})"))
        except ValueError as error:
            faults.add(fault(name_of(path), number, error))


def json_lines(path: str, lines: Iterable[tuple[int, str]], faults: Faults) -> Iterator[tuple[int, Any]]:
    """(number, what it holds) of each line that is JSON; blank ones are left out."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            faults.add(fault(name_of(path), number, f"not JSON: {error.msg} at column {error.colno}"))
        except (ValueError, RecursionError) as error:
            faults.add(fault(name_of(path), number, f"JSON that cannot be read: {error}"))


def json_array(path: str, data: bytes) -> list[Any]:
    """What a whole file holds that is one JSON array. Raises ValueError, naming file and line, for anything else."""
    try:
        found = json.loads(data)
    except json.JSONDecodeError as error:
        raise fault(name_of(path), error.lineno, f"not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise fault(name_of(path), 1, f"JSON that cannot be read: {error}") from error
    if not isinstance(found, list):
        raise fault(name_of(path), 1, "not a JSON array ([…]); for a value a line, there is jsonl")
    return found
