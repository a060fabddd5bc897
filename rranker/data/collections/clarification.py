"""ClariQ: requests to a search engine, and the questions one would ask back."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from ..example import data_file
from ..questions import Question
from ..records import csv_rows
from .mining import Asked, mined
from .texts import one_line


def clariq(folder: str | Path | None = None) -> list[Question]:
    """The questions people wrote for a request are good; misses come from the bank of all questions.

    The bank's empty question is left out.
    """
    bank = csv_rows(
        data_file("questions/clariq/question_bank.tsv", folder),
        lambda row: one_line(row["question"]),
        delimiter="\t",
    )
    parts = (
        csv_rows(data_file(f"questions/clariq/{name}", folder), _asked_back, delimiter="\t")
        for name in ("train.tsv.gz", "dev.tsv", "test_with_labels.tsv.gz")
    )
    return mined("clariq", chain.from_iterable(parts), {"": list(bank)})


def _asked_back(row: Mapping[str, str]) -> Asked:
    return Asked(one_line(row["initial_request"]), (one_line(row["question"]),))
