"""Questions whose near misses nobody labelled: they are other passages of the same document, nearest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np

from ..lexical import BM25, words
from ..questions import Question

SHORTEST_ANSWER = 3  # characters; shorter ones stand in almost every text by chance


class Asked(NamedTuple):
    """A question as a collection has it, with its document, story, site or page: the `group` it is mined in.

    `answers` are strings that no near miss may contain; `unsure` texts are neither good nor near misses.
    """

    text: str
    good: tuple[str, ...]
    group: str = ""
    answers: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


class Group:
    """The different passages of one document, and one index over them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(dict.fromkeys(text for text in texts if text))

    @cached_property
    def _index(self) -> BM25:
        return BM25(self.texts)

    @cached_property
    def _lowered(self) -> list[str]:
        return [text.lower() for text in self.texts]

    @cached_property
    def _bare(self) -> list[str]:
        return [_bare(text) for text in self.texts]

    def near_misses(self, asked: Asked, near: int = 20) -> tuple[str, ...]:
        """At most `near` passages by BM25 that hold no answer, no good text and are not unsure.

        Case counts nowhere; good and unsure texts are compared without punctuation.
        """
        if not self.texts:
            return ()
        left_out = {_bare(text) for text in (*asked.good, *asked.unsure)}
        good = {text for text in map(_bare, asked.good) if len(text) >= SHORTEST_ANSWER}
        answers = {answer.lower() for answer in asked.answers if len(answer) >= SHORTEST_ANSWER}

        def misses() -> Iterator[str]:
            for i in np.argsort(-self._index.scores(asked.text), kind="stable"):
                lowered, bare = self._lowered[i], self._bare[i]
                if (
                    bare not in left_out
                    and not any(text in bare for text in good)
                    and not any(answer in lowered for answer in answers)
                ):
                    yield self.texts[i]

        return tuple(islice(misses(), near))


def mined(
    name: str, questions: Iterable[Asked], passages: Mapping[str, Iterable[str]], near: int = 20
) -> list[Question]:
    """The questions that have a good text and a near miss among the `passages` of their group, in their order.

    One that its group has several times is one question, with the good texts and answers of all.
    """
    groups = {key: Group(texts) for key, texts in passages.items()}
    found = []
    for number, asked in enumerate(merged(questions)):
        bad = groups[asked.group].near_misses(asked, near)
        if asked.text and asked.good and bad:
            found.append(Question(f"{name}-{number}", asked.text, asked.good, bad))
    return found


def mined_in_one_pool(name: str, questions: Sequence[Asked]) -> list[Question]:
    """`mined` among the good texts of all these questions, which are of one group."""
    return mined(name, questions, {"": good_texts(questions)})


def good_texts(questions: Iterable[Asked]) -> list[str]:
    """Those of all the questions, in their order."""
    return [text for asked in questions for text in asked.good]


def merged(questions: Iterable[Asked]) -> list[Asked]:
    """The questions, each once in its group."""
    kept: dict[tuple[str, str], Asked] = {}
    for asked in questions:
        key = asked.group, asked.text.lower()
        first = kept.get(key, Asked(asked.text, (), asked.group))
        kept[key] = Asked(
            first.text,
            _once((*first.good, *asked.good)),
            first.group,
            _once((*first.answers, *asked.answers)),
            _once((*first.unsure, *asked.unsure)),
        )
    return list(kept.values())


def _bare(text: str) -> str:
    return " ".join(words(text))


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
