"""People of four tastes, and what they choose: histories that say what goes together, where titles do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rranker import Ranker
from rranker.data import RankingExample
from rranker.training.sft.item_factors import mrr

TASTES = 4
ITEMS = [
    f"{first} {second}"
    for first in ("red", "green", "blue", "slow")
    for second in ("fox", "dog", "cat", "river")
]
"""What goes together shares no more words than what does not: the taste is the place in the list, modulo `TASTES`."""


def people(count: int, seed: int) -> list[list[str]]:
    """Each likes the items of one taste, in an order of their own."""
    rng = np.random.default_rng(seed)
    return [
        [str(text) for text in rng.permutation(ITEMS[person % TASTES :: TASTES])] for person in range(count)
    ]


def cases(count: int, seed: int) -> list[RankingExample]:
    """All but the last of each one's choices → the last, among items of other tastes."""
    rng, found = np.random.default_rng(seed + 100), []
    for number, texts in enumerate(people(count, seed)):
        others = [text for text in ITEMS if text not in texts]
        pool = [texts[-1], *map(str, rng.permutation(others)[:5])]
        order = rng.permutation(len(pool))
        chosen = [float(i == 0) for i in order]
        shown = [pool[i] for i in order]
        found.append(RankingExample("recommendation", texts[:-1], None, shown, chosen, f"{number}"))
    return found


def rows_of(given: list[RankingExample], path: Path) -> Path:
    lines = [
        json.dumps({"query": case.query, "candidates": case.candidates, "relevance": case.relevance})
        for case in given
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def ranked(folder: Path, given: list[RankingExample], **settings: Any) -> list[Any]:
    with Ranker(folder, dtype="float32", **settings) as ranker:
        return ranker.rank_batch([case.as_query() for case in given], progress=False)


def quality(folder: Path, given: list[RankingExample]) -> float:
    scores = [np.array([ranking.order.index(i) for i in range(6)]) for ranking in ranked(folder, given)]
    return mrr([-row.astype(np.float32) for row in scores], given)
