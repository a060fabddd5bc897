"""Tables for people. On a terminal with colour; in a pipe as plain text, whole."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rranker.types import one_line, shorten

if TYPE_CHECKING:
    from rranker.types import Ranking

_WIDE = 500  # columns where nobody looks at a terminal's edge


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[str] = ()) -> None:
    """Prints rows under their column names; those of `left` begin at the left, all others end at the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(
            name, justify="left" if name in left else "right", overflow="fold" if name in left else "ellipsis"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as text: [brackets] are no markup
    console().print(table)


def console() -> Console:
    """Writes to stdout."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def ranking_table(ranking: Ranking) -> None:
    """One ranking, and what it cost; those under its threshold left out."""
    kept = ranking.kept
    columns = ["rank", "score", "relevance", "index", "id", "text"]
    if all(item.relevance is None for item in kept):
        columns.remove("relevance")
    if all(item.id is None for item in kept):
        columns.remove("id")
    rows = []
    for item in kept:
        cells = {
            "rank": str(item.rank),
            "score": f"{item.score:.3f}",
            "relevance": "" if item.relevance is None else f"{item.relevance:.3f}",
            "index": str(item.index),
            "id": "" if item.id is None else shorten(str(item.id), 40),
            "text": shorten(item.text),
        }
        rows.append([cells[name] for name in columns])
    print_table(columns, rows, left=("id", "text"))
    stats = ranking.stats
    lines = [
        f"{ranking.method}: {_counted(len(ranking.rounds), 'round')} in {_counted(stats.forward_passes, 'pass')}, "
        f"{stats.seconds * 1000:.0f} ms, {stats.tokens_encoded:,} tokens encoded where a naive loop "
        f"takes {stats.tokens_naive:,}"
    ]
    if ranking.threshold is not None:
        lines.append(f"{len(kept)} of {len(ranking)} have a relevance of {ranking.threshold:g} or more")
    lines += [f"repaired: {one_line(repair.message)}" for repair in ranking.repairs]
    for line in lines:
        console().print(Text(line), style="dim")


def _counted(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"
