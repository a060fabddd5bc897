"""Questions that need several facts at once: all are good; misses are other questions' facts."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from ..example import data_file
from ..questions import Question
from ..records import json_lines, json_records
from .mining import Asked, mined_in_one_pool
from .texts import one_line


def hotpotqa_evidence(folder: str | Path | None = None) -> list[Question]:
    """1,500 questions of HotpotQA with their evidence."""
    train = json_lines(data_file("questions/hotpotqa_evidence/train.jsonl", folder), _evident)
    test = json_records(data_file("questions/hotpotqa_evidence/test.json", folder), _evident)
    return mined_in_one_pool("hotpotqa_evidence", list(chain(train, test)))


def strategyqa(folder: str | Path | None = None) -> list[Question]:
    """StrategyQA's train and dev: yes-or-no questions with the facts their authors wrote down."""
    files = ("questions/strategyqa/train.json.gz", "questions/strategyqa/dev.json")
    read = (json_records(data_file(name, folder), _strategic) for name in files)
    return mined_in_one_pool("strategyqa", list(chain.from_iterable(read)))


def _evident(row: dict[str, Any]) -> Asked:
    # Some are "title | text": without its title such a sentence often does not say whom it is about.
    good = tuple(one_line(text).replace(" | ", ": ", 1) for text in row["evidence"])
    return Asked(one_line(row["question"]), good, answers=(one_line(row["answer"]),))


def _strategic(record: dict[str, Any]) -> Asked:
    return Asked(one_line(record["question"]), tuple(map(one_line, record["facts"])))
