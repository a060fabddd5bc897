"""What ends a command early: one line on stderr and an exit code that says what kind of trouble it was."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import typer

P = ParamSpec("P")
R = TypeVar("R")
UNENCODABLE = "backslashreplace"
"""What becomes of characters that an output cannot hold."""


class ExitCode(IntEnum):
    """Those of `sysexits.h` where it has one."""

    FAILED = 1
    """Something went wrong while ranking."""
    USAGE = 2
    """A wrong option, setting or model."""
    DATA = 65
    """Input that cannot be read as what it should be; the message names file and line."""
    NO_INPUT = 66
    """A file or model that is not there, or may not be read."""
    UNAVAILABLE = 69
    """A package is missing; the message names the extra."""
    NO_OUTPUT = 73
    """The output cannot be written."""
    INTERRUPTED = 130


class Failure(Exception):
    """Ends the command with a message and a code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def failing_as(code: ExitCode, files: ExitCode = ExitCode.NO_INPUT) -> Iterator[None]:
    """Inside, wrong values end the command with `code`, and files that cannot be opened with `files`."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise Failure(str(error), code) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(_of_file(error), files) from error


@contextmanager
def results() -> Iterator[None]:
    """Around whatever writes results to stdout: all of it is written when this ends, or the command does.

    A full disk is the output's fault; a reader that left is BrokenPipeError.
    """
    with failing_as(ExitCode.DATA):
        try:
            yield
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            _write_no_more()
            raise Failure(f"stdout: {error.strerror}", ExitCode.NO_OUTPUT) from error


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Reports what a command raises. RRANKER_DEBUG=1 shows the traceback as well."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        _write_anything()
        try:
            return function(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Failure as error:
            _end(error, str(error), error.code)
        except ImportError as error:
            _end(error, str(error), ExitCode.UNAVAILABLE)
        except BrokenPipeError as error:  # whoever read the output has enough of it
            _write_no_more()
            raise typer.Exit(0) from error
        except OSError as error:
            _end(error, _of_file(error), ExitCode.NO_INPUT)
        except KeyboardInterrupt as error:
            _end(error, "interrupted", ExitCode.INTERRUPTED)
        except Exception as error:
            _end(error, f"{type(error).__name__}: {error}", ExitCode.FAILED)

    return run


def say(message: str) -> None:
    """A line for people, on stderr: stdout belongs to the results."""
    print(f"rranker: {message}", file=sys.stderr)


def _write_anything() -> None:
    """Pipes get UTF-8 on every system; what cannot be encoded (halves of surrogate pairs) is spelled out as in JSON."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors=UNENCODABLE)


def _write_no_more() -> None:
    """What stdout still holds goes nowhere: Python's own end would try again, fail, and give its own exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(error: BaseException, message: str, code: ExitCode) -> NoReturn:
    if os.environ.get("RRANKER_DEBUG"):
        traceback.print_exception(error)
    say(message)
    raise typer.Exit(int(code)) from error


def _of_file(error: OSError) -> str:
    return str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
