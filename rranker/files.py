"""Text files as they come: plain or gzip, with or without a byte-order mark, any line ends; faults by file and line."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from typing import TypeVar

PathLike = str | os.PathLike[str]
T = TypeVar("T")

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LINE_END = re.compile(rb"\r\n|\r|\n")


def read_bytes(path: PathLike, what: str = "file") -> bytes:
    """The whole file: unpacked where it is gzip, UTF-16 (which a byte-order mark gives away) as UTF-8.

    `what` names it in errors. Raises the OSError of the open with the path in it, ValueError for a cut gzip file.
    """
    name = os.fsdecode(path)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise type(error)(error.errno, f"cannot read the {what}: {error.strerror}", name) from error
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{name} is not a whole gzip file: {error}") from error
    if data[:2] in _UTF16:
        try:
            data = data.decode("utf-16").encode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} starts as UTF-16 text and goes on otherwise: {error}") from error
    return data


def text_lines(path: PathLike, *, newline: str | None = None) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of each line of a UTF-8 or UTF-16 file, read as it is asked for, plain or gzip.

    Lines come without their ends; with `newline=""` they keep them as they are in the file, as `csv` wants it.
    Raises what `read_bytes` raises, and ValueError naming file and line for bytes that are not UTF-8.
    """
    name = os.fsdecode(path)
    try:
        with open(name, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            data = gzip.GzipFile(fileobj=raw) if packed else raw
            buffered = io.BufferedReader(data)
            encoding = "utf-16" if buffered.peek(2)[:2] in _UTF16 else "utf-8"
            for number, line in enumerate(io.TextIOWrapper(buffered, encoding, newline=newline), start=1):
                yield number, (line if newline == "" else line.removesuffix("\n")).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise fault(name, _undecodable(name), f"not UTF-8 text ({error.reason})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name} is not a whole gzip file: {error}") from error
    except OSError as error:
        raise type(error)(error.errno, f"cannot read the file: {error.strerror}", name) from error


def parsed_lines(path: PathLike, parse: Callable[[str], T], *, header: bool = False) -> Iterator[T]:
    """`parse(line)` of every line that is not blank, after the first where `header` is set.

    Raises ValueError naming file and line for lines that `parse` cannot take (ValueError, LookupError, TypeError).
    """
    for number, line in text_lines(path):
        if (number == 1 and header) or not line.strip():
            continue
        try:
            parsed = parse(line)
        except (ValueError, LookupError, TypeError) as error:
            raise fault(path, number, error) from error
        yield parsed


def fault(path: PathLike, number: int, reason: str | Exception, *, unit: str = "line") -> ValueError:
    """The error that names file and line, or what else `unit` counts."""
    cause = f"no {reason}" if isinstance(reason, KeyError) else str(reason)
    return ValueError(f"{os.fsdecode(path)}, {unit} {number}: {cause}")


def _undecodable(name: str) -> int:
    data = read_bytes(name)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(_LINE_END.findall(data[: error.start])) + 1
    return 1
