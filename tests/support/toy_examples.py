"""Made-up training examples: nothing here needs the data folder."""

from __future__ import annotations

import numpy as np

from rranker.data import RankingExample
from rranker.training.examples.example import Example

_TEXT = "red green blue fox dog cat river stone quick slow tall bright 1995 (II) l'été naïve über straße"


WORDS = _TEXT.split()


def make_example(rng: np.random.Generator, n: int, task: str = "passage") -> Example:
    return Example(make_case(rng, n, task), rng.normal(size=n), 0.5)


def make_case(rng: np.random.Generator, n: int, task: str = "passage") -> RankingExample:
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 7))) for _ in range(n)]
    query = " ".join(rng.choice(WORDS, size=rng.integers(1, 9)))
    relevance = [0.0] * n
    relevance[int(rng.integers(n))] = 1.0
    return RankingExample(
        task, [query, query] if task == "recommendation" else query, None, texts, relevance, query
    )
