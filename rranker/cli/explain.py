"""`rranker explain`: one ranking as a page that shows how it came about."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rranker.cli.candidates import read_candidates
from rranker.cli.errors import UNENCODABLE, ExitCode, command, failing_as, results
from rranker.cli.lines import STDIN, Faults
from rranker.cli.loading import load_ranker
from rranker.cli.settings import (
    Device,
    Dtype,
    History,
    Model,
    Query,
    SkipBroken,
    TextColumn,
    WrittenAs,
    as_query,
    call_settings,
)


@command
@call_settings()
def explain(  # noqa: PLR0913 (options of a command)
    query: Query,
    file: Annotated[str, typer.Argument(help="Candidates, as for rank; - is stdin.")] = STDIN,
    output: Annotated[str, typer.Option("--output", "-o", help="The page; - is stdout.")] = "ranking.html",
    model: Model = None,
    device: Device = None,
    dtype: Dtype = None,
    history: History = False,
    input_format: WrittenAs = None,
    text_column: TextColumn = "text",
    skip_broken: SkipBroken = False,
    **settings: Any,
) -> None:
    """Rank, and write an HTML page that shows how: who left when, and how sure the model was.

    The page is one file that loads nothing from elsewhere.
    """
    faults = Faults(skip_broken)
    with failing_as(ExitCode.DATA):
        candidates = read_candidates(file, input_format, text_column, faults)
    asked = as_query(query, history)
    with (
        load_ranker(model=model, device=device, dtype=dtype) as ranker,
        failing_as(ExitCode.USAGE),
    ):
        ranking = ranker.rank(asked, candidates, **settings)
    page = ranking.to_html(asked)
    if output == STDIN:
        with results():
            sys.stdout.write(page)
    else:
        with failing_as(ExitCode.DATA, ExitCode.NO_OUTPUT):
            Path(output).write_text(page, encoding="utf-8", errors=UNENCODABLE)
    faults.report()
