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

# What UTF-32 starts with starts with what UTF-16 starts with.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LINE_END = re.compile(rb"\r\n|\r|\n")


def read_bytes(path: PathLike, what: str = "file") -> bytes:
    """The whole file, as `plain_bytes` makes it.

    `what` names it in errors. Raises the OSError of the open with the path in it, and what `plain_bytes` raises.
    """
    name = os.fsdecode(path)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise type(error)(error.errno, f"cannot read the {what}: {error.strerror}", name) from error
    return plain_bytes(data, name)


def plain_bytes(data: bytes, name: str) -> bytes:
    """A text's bytes as UTF-8 without a byte-order mark, which may say UTF-16 or 32; gzip is unpacked.

    Raises ValueError, by `name`, for a cut gzip file, and where text goes on otherwise than its mark says.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{name} is not a whole gzip file: {error}") from error
    mark, encoding = _mark(data)
    if encoding == "utf-8-sig":
        return data.removeprefix(mark)
    if mark:
        try:
            return data.decode(encoding).encode("utf-8")
        except UnicodeError as error:
            raise ValueError(
                f"{name} starts as {encoding.upper()} text and goes on otherwise: {error}"
            ) from error
    return data


def ending(path: PathLike) -> str:
    """What a name ends in, lower-cased, `.gz` left aside: `.jsonl` of `Rows.JSONL.gz`; empty where there is none."""
    return os.path.splitext(os.fsdecode(path).lower().removesuffix(".gz"))[1]


def as_named(path: PathLike, data: bytes) -> bytes:
    """What to write under a name: gzip where it ends in `.gz`."""
    return gzip.compress(data, 6, mtime=0) if os.fsdecode(path).lower().endswith(".gz") else data


def stamps(path: PathLike) -> list[tuple[str, int, int]]:
    """(absolute path, size in bytes, time of change in ns) of a file, or of each file that stands in a folder."""
    files = [os.path.abspath(path)]
    if os.path.isdir(path):
        inside = [os.path.join(files[0], each) for each in sorted(os.listdir(path))]
        files = [each for each in inside if os.path.isfile(each)]
    known = [(each, os.stat(each)) for each in files]
    return [(each, stat.st_size, stat.st_mtime_ns) for each, stat in known]


def text_lines(path: PathLike, *, newline: str | None = None) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of each line of a file, plain or gzip, read as it is asked for.

    The text is UTF-8, or what its byte-order mark says. Lines come without their ends; with `newline=""` they keep them
    as they are in the file, as `csv` wants it. Raises what `read_bytes` raises, and ValueError naming file and line for
    bytes that are not UTF-8.
    """
    name = os.fsdecode(path)
    try:
        with open(name, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            data = gzip.GzipFile(fileobj=raw) if packed else raw
            buffered = io.BufferedReader(data)
            _, encoding = _mark(buffered.peek(4))
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


def without_nul(line: str) -> str:
    """The line. Raises ValueError for one with a NUL character, as UTF-16 without its mark gives when read as UTF-8."""
    if "\0" in line:
        raise ValueError("a NUL byte; the text must be UTF-8 (or UTF-16 with a byte-order mark)")
    return line


def fault(path: PathLike, number: int, reason: str | Exception, *, unit: str = "line") -> ValueError:
    """The error that names file and line, or what else `unit` counts."""
    cause = f"no {reason}" if isinstance(reason, KeyError) else str(reason)
    return ValueError(f"{os.fsdecode(path)}, {unit} {number}: {cause}")


def _mark(data: bytes) -> tuple[bytes, str]:
    """The byte-order mark that the data starts with (empty: none), and the encoding to read them in."""
    return next(((mark, name) for mark, name in _MARKS.items() if data.startswith(mark)), (b"", "utf-8"))


def _undecodable(name: str) -> int:
    data = read_bytes(name)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(_LINE_END.findall(data[: error.start])) + 1
    return 1
