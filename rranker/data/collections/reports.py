"""TAT-QA: questions on pages of financial reports; the paragraphs one rests on, among the page's others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..example import data_file
from ..questions import Question
from ..records import json_records
from .mining import Asked, mined
from .texts import one_line


def tatqa(folder: str | Path | None = None) -> list[Question]:
    """The dev part, without the questions that the table alone answers."""
    path = data_file("questions/tatqa/tatqa_dataset_dev.json.gz", folder)
    questions: list[Asked] = []
    passages: dict[str, list[str]] = {}
    for page, texts, asked in json_records(path, _page):
        passages[page] = texts
        questions += asked
    return mined("tatqa", questions, passages)


def _page(record: dict[str, Any]) -> tuple[str, list[str], list[Asked]]:
    page = record["table"]["uid"]
    texts = {str(paragraph["order"]): one_line(paragraph["text"]) for paragraph in record["paragraphs"]}
    questions = []
    for question in record["questions"]:
        good = tuple(texts[order] for order in question["rel_paragraphs"])
        answer = question["answer"]
        spans = answer if isinstance(answer, list) else []  # other answers are computed
        questions.append(Asked(one_line(question["question"]), good, page, tuple(map(one_line, spans))))
    return page, list(texts.values()), questions
