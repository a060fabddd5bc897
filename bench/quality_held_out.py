"""Tasks that have a validation split alone.

Questions of collections that train, searches of a word or two, and language models that there are not.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import numpy as np

from rranker import data
from rranker.data import RankingExample
from rranker.data.routing import ROUTING_WEIGHTS, utilities
from rranker.prompts import ROUTING_INSTRUCTIONS
from rranker.training.examples.invented import invent

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


def invented(setting: str, limit: int) -> list[RankingExample]:
    """RouterBench's validation queries, each among its models under other names, descriptions and prices.

    Costs are measured by the dearest answer that these models would give to any query.
    """
    train, _ = data.routerbench()
    rows = [row for row in train if data.in_validation(row.query)]
    shares, costs = np.mean([row.scores for row in train], 0), np.array([row.costs for row in train])
    cases = []
    for place in np.random.default_rng(0).permutation(len(rows))[:limit]:
        row, rng = rows[place], np.random.default_rng([0, int(place)])
        order = rng.permutation(len(row.candidates))
        texts, factors = invent([row.candidates[i] for i in order], shares[order], rng, renamed=True)
        own = np.array(row.scores)[order], np.array(row.costs)[order] * factors
        values = utilities(*own, setting, float((costs[:, order] * factors).max()))
        instruction, name = ROUTING_INSTRUCTIONS[setting], f"{setting}-{row.id}"
        cases.append(RankingExample("routing", row.query, instruction, texts, values.tolist(), name))
    return cases


HELD_OUT: dict[str, Callable[[int], list[RankingExample]]] = {
    "questions": questions,
    "keywords": keywords,
    **{f"invented-{setting}": partial(invented, setting) for setting in ROUTING_WEIGHTS},
}
"""By name, what makes their cases."""
