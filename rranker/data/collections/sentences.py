"""Answer sentence selection: the sentences of an article, each labelled."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from rranker.files import parsed_lines

from ..example import data_file
from ..questions import Question
from ..records import csv_rows, json_records
from .labelled import Judged, labelled
from .texts import detokenised, one_line

_LABELS = {"0": False, "1": True}
# Train and test of WikiQA share this one.
_IN_TEST = "what is homebrew for wii?"


def selqa(folder: str | Path | None = None) -> list[Question]:
    """SelQA's dev part."""
    path = data_file("questions/selqa/selqa-ass-dev.json.gz", folder)
    return labelled("selqa", chain.from_iterable(json_records(path, _section)))


def trecqa(folder: str | Path | None = None) -> list[Question]:
    """TREC QA: the small hand-judged train part, and dev."""
    paths = [data_file(f"questions/trecqa/{part}.csv", folder) for part in ("train", "dev")]
    return labelled("trecqa", chain.from_iterable(csv_rows(path, _pair) for path in paths))


def wikiqa(folder: str | Path | None = None) -> list[Question]:
    """WikiQA: train in tokens, dev as its owner has it, without the question that is also in test."""
    train = parsed_lines(data_file("questions/wikiqa/WikiQASent-train.txt.gz", folder), _sentence)
    dev = parsed_lines(data_file("questions/wikiqa/WikiQA-dev.tsv", folder), _owners, header=True)
    return labelled("wikiqa", (row for row in chain(train, dev) if row.question.lower() != _IN_TEST))


def _section(record: dict[str, Any]) -> list[Judged]:
    question, answers = one_line(record["question"]), set(record["answers"])
    return [Judged(question, one_line(text), i in answers) for i, text in enumerate(record["candidates"])]


def _pair(row: Mapping[str, str]) -> Judged:
    return Judged(detokenised(row["qtext"]), detokenised(row["atext"]), _LABELS[row["label"]])


def _sentence(line: str) -> Judged:
    return _columns(line.split("\t"), 3, question=0, text=1)


def _owners(line: str) -> Judged:
    return _columns(line.split("\t"), 7, question=1, text=5)


def _columns(fields: list[str], count: int, *, question: int, text: int) -> Judged:
    if len(fields) != count:
        raise ValueError(f"{count} columns are needed, this row has {len(fields)}")
    return Judged(detokenised(fields[question]), detokenised(fields[text]), _LABELS[fields[-1].strip()])
