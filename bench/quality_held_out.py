"""Tasks that have a validation split alone: questions of collections that train, and searches of a word or two."""

from __future__ import annotations

import random

from rranker import data
from rranker.data import RankingExample

NOTHING = ["", "n/a", "Home", "Tea", "Read more...", "dog food"]
"""Texts that answer nobody; a search index has such."""


def questions(limit: int) -> list[RankingExample]:
    """An answer among six near misses, for a seeded sample of at most `limit`.

    Of the 23 collections, questions that never train; others about the same texts may.
    """
    every = [q for name in data.COLLECTIONS for q in data.collection_questions(name)]
    return data.question_cases([q for q in every if data.in_validation(q.text)], 7, limit=limit)


def keywords(limit: int) -> list[RankingExample]:
    """Titles of one or two words of encyclopaedia paragraphs: each its own paragraph among five others and `NOTHING`.

    A seeded sample of at most `limit`. Sentences of these paragraphs train; their titles never do.
    """
    rng = random.Random(0)
    articles = [(title, text) for title, text in data.wikipedia() if len(text) > 60]
    asked = [(title, text) for title, text in articles if len(title.split()) <= 2 and "(" not in title]
    cases = []
    for title, text in rng.sample(asked, min(limit, len(asked))):
        others = [other for _, other in rng.sample(articles, 6) if other != text][:5]
        texts = [text, *others, *NOTHING]
        cases.append(RankingExample("passage", title, None, texts, [1.0] + [0.0] * (len(texts) - 1), title))
    return cases


HELD_OUT = {"questions": questions, "keywords": keywords}
"""By name, what makes their cases."""
