"""`rranker rank`: one query, candidates from a file or a pipe."""

from __future__ import annotations

import json
import sys
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rranker.cli.candidates import read_candidates
from rranker.cli.errors import ExitCode, command, failing_as, results
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
from rranker.cli.tables import ranking_table
from rranker.cli.trec import trec_lines
from rranker.ids import id_text

if TYPE_CHECKING:
    from rranker.types import Ranking


class RankingFormat(StrEnum):
    """How a ranking is written."""

    table = "table"
    json = "json"
    trec = "trec"


@command
@call_settings()
def rank(  # noqa: PLR0913 (options of a command)
    query: Query,
    file: Annotated[str, typer.Argument(help="Candidates; - is stdin.")] = STDIN,
    model: Model = None,
    device: Device = None,
    dtype: Dtype = None,
    history: History = False,
    input_format: WrittenAs = None,
    text_column: TextColumn = "text",
    skip_broken: SkipBroken = False,
    layout: Annotated[
        RankingFormat, typer.Option("--format", "-f", help="What to write.")
    ] = RankingFormat.table,
    query_id: Annotated[str, typer.Option(help="The query's id in a TREC run.")] = "1",
    **settings: Any,
) -> None:
    """Rank candidates for a query, best first.

    A candidate is a line of text, a line of JSON (a string, or an object with text, an optional id and anything else),
    a member of a JSON array, or a row of a CSV table under a header.
    """
    faults = Faults(skip_broken)
    with failing_as(ExitCode.DATA):
        candidates = read_candidates(file, input_format, text_column, faults)
    with load_ranker(model=model, device=device, dtype=dtype) as ranker:
        with failing_as(ExitCode.USAGE):
            ranking = ranker.rank(as_query(query, history), candidates, **settings)
        with results():
            _write(ranking, layout, query_id)
    faults.report()


def _write(ranking: Ranking, layout: RankingFormat, query_id: str) -> None:
    if layout is RankingFormat.table:
        ranking_table(ranking)
        return
    if layout is RankingFormat.json:
        written = ranking.to_dict()
        if ranking.threshold is not None:
            written["items"] = written["items"][: len(ranking.kept)]
        print(json.dumps(written, ensure_ascii=False))
    else:
        kept = ranking.kept
        names = [str(item.index) if item.id is None else id_text(item.id) for item in kept]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(
                f"two candidates would be {twice[0]!r} in the run: give all of them ids of their own, or none "
                "(those without go by their place)"
            )
        sys.stdout.write("".join(trec_lines(query_id, names, [item.score for item in kept], "rranker")))
