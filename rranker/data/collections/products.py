"""Questions on products and places: their attributes, descriptions, reviews and other customers' answers."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from itertools import chain
from pathlib import Path

from ..example import data_file
from ..questions import Question
from ..records import csv_rows
from .labelled import Judged, labelled
from .mining import Asked, mined
from .texts import one_line

TWO_GRADES = (
    "hetPQA.evidence_ranking.dev.csv",
    "semiPQA.attribute_ranking.dev.csv.gz",
    "semiPQA.attribute_ranking.testseen.csv.gz",
    "semiPQA.attribute_ranking.testunseen.csv.gz",
)
SUBJECTIVE = {
    "books": ("dev.csv", "test.csv.gz"),
    "electronics": ("train.csv.gz", "dev.csv", "test.csv.gz"),
    "grocery": ("train.csv.gz", "dev.csv", "test.csv.gz"),
    "movies": ("dev.csv", "test.csv.gz"),
    "restaurants": ("train.csv.gz", "dev.csv", "test.csv"),
    "tripadvisor": ("train.csv.gz", "dev.csv", "test.csv.gz"),
}
_NO_ANSWER = "ANSWERNOTFOUND"


def amazon_pqa(folder: str | Path | None = None) -> list[Question]:
    """hetPQA, semiPQA and ePQA: what answers a question on a product, among what else is known of it.

    Of ePQA's grades, 2 answers, 0 does not, and 1 is neither. The answer-generation files have no negatives.
    """
    tables = [
        csv_rows(data_file(f"questions/amazon_pqa/{name}", folder), _two_grades, delimiter="\t")
        for name in TWO_GRADES
    ]
    graded = csv_rows(data_file("questions/amazon_pqa/ePQA.dev.csv.gz", folder), _three_grades)
    return labelled("amazon_pqa", chain(*tables, graded))


def subjqa(folder: str | Path | None = None) -> list[Question]:
    """SubjQA: the reviews of an item that have an answer, among those that do not name the aspect asked about.

    Annotators looked at few reviews per question; what they did not look at may answer it where it names the aspect.
    """
    files = [f"{domain}.{part}" for domain, parts in SUBJECTIVE.items() for part in parts]
    paths = [data_file(f"questions/subjqa/{name}", folder) for name in files]
    questions: list[Asked] = []
    reviews: dict[str, list[str]] = {}
    for review, asked in chain.from_iterable(csv_rows(path, _reviewed) for path in paths):
        reviews.setdefault(asked.group, []).append(review)
        questions.append(asked)
    return mined("subjqa", questions, reviews)


def _two_grades(row: Mapping[str, str]) -> Judged:
    relevant = {"0": False, "1": True}[row["label"]]
    return Judged(one_line(row["question"]), one_line(row["candidate"]), relevant)


def _three_grades(row: Mapping[str, str]) -> Judged:
    relevant = {"0": False, "1": None, "2": True}[row["label"]]
    return Judged(one_line(row["question"]), one_line(row["candidate"]), relevant)


def _reviewed(row: Mapping[str, str]) -> tuple[str, Asked]:
    """The review, and the question; it is good for it where an annotator found an answer."""
    review = one_line(unescape(row["review"])).removesuffix(_NO_ANSWER).rstrip()
    good = () if _NO_ANSWER in row["human_ans_spans"] else (review,)
    aspects = one_line(row["nn_asp"]), one_line(row["query_asp"])
    return review, Asked(one_line(row["question"]), good, row["item_id"], aspects)
