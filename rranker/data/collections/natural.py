"""Questions of Google's users with a paragraph of Wikipedia (Natural Questions), in three collections."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from ..example import data_file
from ..questions import Question
from ..records import json_lines, json_records
from .mining import Asked, good_texts, mined, mined_in_one_pool
from .texts import detokenised, one_line


def nq_oracle(folder: str | Path | None = None) -> list[Question]:
    """The open questions' dev part with the gold passage each, as "Lost in the Middle" published them."""
    return mined_in_one_pool("nq_oracle", _oracle(folder))


def qed(folder: str | Path | None = None) -> list[Question]:
    """QED's dev part without the questions that `nq_oracle` has; their paragraphs stay near misses."""
    elsewhere = {asked.text.lower() for asked in _oracle(folder)}
    questions = list(json_lines(data_file("questions/qed/qed-dev.jsonlines.gz", folder), _explained))
    kept = [asked for asked in questions if asked.text.lower() not in elsewhere]
    return mined("qed", kept, {"": good_texts(questions)})


def multispanqa(folder: str | Path | None = None) -> list[Question]:
    """MultiSpanQA's valid part: the answer is several spans."""
    path = data_file("questions/multispanqa/valid.json.gz", folder)
    return mined_in_one_pool("multispanqa", list(json_records(path, _spans, within="data")))


def _oracle(folder: str | Path | None) -> list[Asked]:
    return list(json_lines(data_file("questions/nq_oracle/nq-open-oracle.jsonl.gz", folder), _gold))


def _gold(row: dict[str, Any]) -> Asked:
    good = tuple(one_line(passage["text"]) for passage in row["ctxs"] if passage["isgold"])
    return Asked(one_line(row["question"]), good, answers=tuple(map(one_line, row["answers"])))


def _explained(row: dict[str, Any]) -> Asked:
    spans = [span["string"] for answer in row["original_nq_answers"] for span in answer]
    return Asked(
        one_line(row["question_text"]),
        (detokenised(row["paragraph_text"]),),
        answers=tuple(map(detokenised, spans)),
    )


def _spans(record: dict[str, Any]) -> Asked:
    context, labels = record["context"], record["label"]
    if len(context) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(context)} tokens")
    return Asked(
        detokenised(" ".join(record["question"])),
        (detokenised(" ".join(context)),),
        answers=tuple(_labelled_spans(context, labels)),
    )


def _labelled_spans(tokens: list[str], labels: list[str]) -> Iterator[str]:
    """The texts that B (first token) and I (further ones) mark."""
    span = 0
    numbers = []
    for label in labels:
        span += label == "B"
        numbers.append(0 if label == "O" else span)
    for number, members in groupby(zip(numbers, tokens, strict=True), key=lambda pair: pair[0]):
        if number:
            yield detokenised(" ".join(token for _, token in members))
