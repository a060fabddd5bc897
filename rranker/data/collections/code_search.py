"""CoSQA: queries for Python code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..example import data_file
from ..questions import Question
from ..records import json_records
from .mining import Asked, mined
from .texts import one_line

# These are also queries of the retrieval sets that the same authors published for evaluation (14 of dev, 20 of test).
_EVALUATED = frozenset(
    f"cosqa-dev-{number}"
    for number in (
        *(1, 5, 27, 72, 78, 116, 123, 130, 141, 151, 183, 218, 233, 261, 269, 272, 311, 345, 372, 382, 398),
        *(408, 409, 421, 423, 442, 474, 481, 486, 487, 530, 537, 560, 591),
    )
)


class _Labelled(NamedTuple):
    idx: str
    query: str
    code: str
    answers: bool


def codesearch(folder: str | Path | None = None) -> list[Question]:
    """The dev part's queries with a function that answers, without CoSQA retrieval; misses are other functions."""
    path = data_file("questions/codesearch/cosqa-dev.json", folder)
    rows = [row for row in json_records(path, _labelled) if row.idx not in _EVALUATED]
    questions = [Asked(row.query, (row.code,)) for row in rows if row.answers]
    return mined("codesearch", questions, {"": [row.code for row in rows]})


def _labelled(record: dict[str, Any]) -> _Labelled:
    answers = {0: False, 1: True}[record["label"]]
    return _Labelled(record["idx"], one_line(record["doc"]), one_line(record["code"]), answers)
