"""A user's own ranking problems: read from files, checked row by row, and split into training and validation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rranker.files import PathLike, ending, fault, text_lines

from .example import RankingExample
from .records import json_object_of
from .rows import example_of
from .splits import in_validation
from .table import parquet_rows

SHOWN = 5
"""Faults of a file that one error tells of."""


def read_examples(path: PathLike, *, alike: bool = False) -> list[RankingExample]:
    """The ranking problems of a file to learn from or to measure by: `.jsonl` or `.ndjson` (also `.gz`), or `.parquet`.

    A row is what `rranker.data.rows.example_of` takes, with two candidates or more that are not all equally relevant:
    of others nothing can be learnt of order (`alike`: they are taken too). Raises ValueError that names the first
    `SHOWN` rows that are wrong by file and line (of Parquet: row, from 1) and counts the rest, and for a file without
    rows or of another kind; OSError for one that cannot be read; ImportError where Parquet needs `datasets`.
    """
    name = Path(os.fsdecode(path)).name
    examples: list[RankingExample] = []
    faults: list[ValueError] = []
    for unit, number, row in _rows(path):
        try:
            example = example_of(json_object_of(row) if isinstance(row, str) else row, f"{name}:{number}")
            if not alike:
                _check_order(example)
            examples.append(example)
        except (TypeError, ValueError) as error:
            wrong = fault(path, number, error, unit=unit)
            wrong.__cause__ = error
            faults.append(wrong)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        shown = faults[:SHOWN]
        head = f"{len(faults)} of {len(faults) + len(examples)} rows cannot be used"
        if len(faults) > SHOWN:
            head += f", here are the first {SHOWN}"
        raise ValueError("\n".join([f"{head}:", *map(str, shown)])) from shown[0]
    if not examples:
        raise ValueError(f"{os.fsdecode(path)} holds no rows")
    return examples


def own_examples(
    files: Sequence[PathLike], validation: PathLike | None = None
) -> tuple[list[RankingExample], list[RankingExample]]:
    """What of `files` trains, and what is held out: the file `validation`, else the queries that `in_validation` names.

    Either way no held-out query trains. Raises what `read_examples` raises, and ValueError when nothing is left to
    train on. Nothing may be held out, where few queries are given.
    """
    rows = [example for path in files for example in read_examples(path)]
    if validation is None:
        held = [example for example in rows if in_validation(query_key(example))]
    else:
        held = read_examples(validation)
    queries = {query_key(example) for example in held}
    training = [example for example in rows if query_key(example) not in queries]
    if not training:
        raise ValueError(
            f"nothing is left to train on: all {len(rows)} rows of {', '.join(map(os.fsdecode, files))} have held-out "
            "queries; give more rows, or others for validation"
        )
    return training, held


def query_key(example: RankingExample) -> str:
    """What rows of one query have in common: by it they are held out together, and count once in an interval."""
    return example.query if isinstance(example.query, str) else "\n".join(example.query)


def _rows(path: PathLike) -> Iterator[tuple[str, int, str | Mapping[str, Any]]]:
    """(unit of the number, number, row or its line of JSON)."""
    name = os.fsdecode(path)
    named = ending(name)
    if named == ".parquet":
        yield from (("row", number, row) for number, row in enumerate(parquet_rows(name), start=1))
    elif named in (".jsonl", ".ndjson"):
        yield from (("line", number, line) for number, line in text_lines(name) if line.strip())
    else:
        raise ValueError(
            f"cannot tell the format of {name}: use .jsonl or .ndjson (one JSON object a line), or .parquet"
        )


def _check_order(example: RankingExample) -> None:
    """Raises ValueError for a list of which all orders are equally good."""
    if len(example.candidates) < 2:
        raise ValueError(f"{len(example.candidates)} candidates: a list to learn from has at least 2")
    if len(set(example.relevance)) == 1:
        raise ValueError(
            f"all candidates have the relevance {example.relevance[0]:g}: of such a list no order can be learnt, "
            "leave it out"
        )
