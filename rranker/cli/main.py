"""The commands, put together. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Annotated

import typer

from rranker import __version__
from rranker.cli.evaluate import evaluate
from rranker.cli.explain import explain
from rranker.cli.info import info
from rranker.cli.rank import rank
from rranker.cli.rerank import rerank
from rranker.cli.serve import serve
from rranker.cli.train import train

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(rank)
app.command()(rerank)
app.command()(evaluate)
app.command()(explain)
app.command()(info)
app.command()(serve)
app.add_typer(train, name="train")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def rranker(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Rank candidates with a language model by iterative elimination."""


class _Last:
    """Ends the process after the exit handlers of all that a command brought in: the first registered runs last.

    Python would go on to take torch and all that it brought apart, object by object, which takes a second. Threads have
    been waited for by then; what is left the operating system takes back at once.
    """

    def __init__(self) -> None:
        self.code = 1
        atexit.register(self._leave)

    def _leave(self) -> None:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):  # Python's own end says so, and has a code for it
            return
        os._exit(self.code)


def main() -> None:
    """What `rranker` starts."""
    last = _Last()
    try:
        app(prog_name="rranker")
    except SystemExit as end:
        last.code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
