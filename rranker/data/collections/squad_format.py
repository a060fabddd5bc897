"""Collections in the JSON of SQuAD: articles of paragraphs, and questions whose answers are spans of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..example import data_file
from ..questions import Question
from ..records import json_records
from .mining import Asked, mined
from .texts import one_line, passage_spans

# Also asked in SQuAD's dev set, which is another of our sources.
_IN_SQUAD = "when was the article published?"


def squadshifts(folder: str | Path | None = None) -> list[Question]:
    """SQuADShifts on new Wikipedia articles, Reddit and Amazon reviews; misses of the same article or product.

    All of Reddit is one article.
    """
    files = [
        f"questions/squadshifts/{part}_v1.0.json.gz" for part in ("new_wiki", "reddit", "amazon_reviews")
    ]
    questions, passages = _same_article(files, folder)
    return mined("squadshifts", [asked for asked in questions if asked.text.lower() != _IN_SQUAD], passages)


def policyqa(folder: str | Path | None = None) -> list[Question]:
    """PolicyQA: questions on the privacy policies of websites, misses of the same website."""
    files = [f"questions/policyqa/{part}.json.gz" for part in ("dev", "test")]
    return mined("policyqa", *_same_article(files, folder))


def covidqa_deepset(folder: str | Path | None = None) -> list[Question]:
    """COVID-QA: the passage of about 120 words that holds the answer, among the others of its paper."""
    path = data_file("questions/covidqa_deepset/200423_covidQA.json.gz", folder)
    questions: list[Asked] = []
    passages: dict[str, list[str]] = {}
    for number, paper in enumerate(json_records(path, _paper, within="data")):
        for texts, asked in paper:
            passages.setdefault(str(number), []).extend(texts)
            questions.extend(question._replace(group=str(number)) for question in asked)
    return mined("covidqa_deepset", questions, passages)


def _same_article(files: list[str], folder: str | Path | None) -> tuple[list[Asked], dict[str, list[str]]]:
    questions: list[Asked] = []
    passages: dict[str, list[str]] = {}
    for file in files:
        for title, paragraphs in json_records(data_file(file, folder), _article, within="data"):
            for text, asked in paragraphs:
                passages.setdefault(title, []).append(text)
                questions.extend(question._replace(group=title) for question in asked)
    return questions, passages


def _article(record: dict[str, Any]) -> tuple[str, list[tuple[str, list[Asked]]]]:
    paragraphs = []
    for paragraph in record["paragraphs"]:
        text = one_line(paragraph["context"])
        asked = [Asked(one_line(qa["question"]), (text,), answers=_answers(qa)) for qa in paragraph["qas"]]
        paragraphs.append((text, asked))
    return record["title"], paragraphs


def _paper(record: dict[str, Any]) -> list[tuple[list[str], list[Asked]]]:
    return [_cut(paragraph) for paragraph in record["paragraphs"]]


def _cut(paragraph: dict[str, Any]) -> tuple[list[str], list[Asked]]:
    """The passages of a paper, and its questions with the passage that has most of the answer."""
    paper = paragraph["context"]
    spans = list(passage_spans(paper))
    texts = [one_line(paper[start:end]) for start, end in spans]
    questions = []
    for qa in paragraph["qas"]:
        for answer in qa["answers"]:
            first, last = answer["answer_start"], answer["answer_start"] + len(answer["text"])
            held = [max(0, min(end, last) - max(start, first)) for start, end in spans]
            good = texts[held.index(max(held))]
            touched = tuple(text for text, length in zip(texts, held, strict=True) if length)
            questions.append(Asked(one_line(qa["question"]), (good,), answers=_answers(qa), unsure=touched))
    return texts, questions


def _answers(qa: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one_line(answer["text"]) for answer in qa["answers"])
