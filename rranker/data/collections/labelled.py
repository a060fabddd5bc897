"""Questions whose good and bad texts the owners labelled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..questions import Question
from .mining import Asked, Group


class Judged(NamedTuple):
    """One text judged for one question; `relevant` is None where it answers in part.

    Equal questions of one `group` are one question.
    """

    question: str
    text: str
    relevant: bool | None
    group: str = ""


def labelled(name: str, judgements: Iterable[Judged]) -> list[Question]:
    """The questions that have a good and a bad text, in their order; the bad ones nearest first, by BM25.

    A text that was judged several times for a question keeps the best that was said of it.
    """
    texts: dict[tuple[str, str], dict[str, Judged]] = {}
    for judged in judgements:
        of_question = texts.setdefault((judged.group, judged.question.lower()), {})
        key = judged.text.lower()
        if key not in of_question or _rank(judged) > _rank(of_question[key]):
            of_question[key] = judged
    found = []
    for number, of_question in enumerate(texts.values()):
        question = next(iter(of_question.values())).question
        good = tuple(j.text for j in of_question.values() if j.relevant and j.text)
        rejected = Group(j.text for j in of_question.values() if j.relevant is False)
        bad = rejected.near_misses(Asked(question, good), near=len(rejected.texts))
        if question and good and bad:
            found.append(Question(f"{name}-{number}", question, good, bad))
    return found


def _rank(judged: Judged) -> int:
    return (False, None, True).index(judged.relevant)
