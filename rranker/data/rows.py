"""One row of a table or a file as a `RankingExample`: what may stand in it, and what is said when it does not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from rranker.ids import as_id, id_text
from rranker.request import make_request

from .example import RankingExample

COLUMNS = ("query", "history", "candidates", "relevance", "grades", "task", "instruction", "id")
"""What is read of a table; whatever else it has may be of types that are not."""
ROW = "query, candidates, relevance, and optionally task, instruction, id"
"""The columns of a row."""


def example_of(row: Mapping[str, Any], default_id: str) -> RankingExample:
    """The ranking problem of a row with the columns `ROW`; others are not read.

    `query` is a string, or the titles of a history as a list, which may also stand under `history` (beside a null
    `query`, where a column holds one type only). `relevance` is a finite number a candidate. `task` is the name of a
    template: left out, passage, and recommendation for a history. `id` is any that `rank` takes, else `default_id`.

    Raises TypeError or ValueError, saying what the column must be.
    """
    history = row.get("history")
    query = row.get("query") if history is None else history
    if history is not None and row.get("query") is not None:
        raise ValueError(
            "query and history are both given: a row has one of them, the other null or left out"
        )
    candidates = row.get("candidates")
    relevance = row["relevance"] if "relevance" in row else row.get("grades")  # its name until 0.1
    for column, value in (("query", query), ("candidates", candidates), ("relevance", relevance)):
        if value is None:
            held = "is null" if column in row else f"is missing; the row has {', '.join(row) or 'nothing'}"
            raise ValueError(f"{column} {held}. A row holds {ROW}")
    task = row.get("task")
    if task is None:
        task = "passage" if isinstance(query, str) else "recommendation"
    request = make_request(query, candidates, task=task, instruction=row.get("instruction"))  # type: ignore[arg-type]
    key = row.get("id")
    return RankingExample(
        task=request.template.name,
        query=request.query if isinstance(request.query, str) else list(request.query),
        instruction=request.instruction,
        candidates=[candidate.text for candidate in request.candidates],
        relevance=_numbers(relevance),
        id=default_id if key is None else id_text(as_id(key, "id")),
    )


def _numbers(relevance: Any) -> list[float]:
    if not isinstance(relevance, list | tuple):
        raise TypeError(f"relevance must be a list of numbers, not {type(relevance).__name__}")
    grades = []
    for place, number in enumerate(relevance):
        if not isinstance(number, Real | Decimal):
            raise TypeError(f"relevance[{place}] must be a number, not {type(number).__name__}")
        try:
            grades.append(float(number))
        except OverflowError:
            raise ValueError(f"relevance[{place}] is too large for a float") from None
        if not math.isfinite(grades[-1]):
            raise ValueError(f"relevance[{place}] is {number}: it must be finite")
    if grades and not math.isfinite(max(grades) - min(grades)):
        raise ValueError(f"relevance runs from {min(grades):g} to {max(grades):g}: too far apart for a float")
    return grades
