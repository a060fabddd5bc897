"""A small BM25 over one set of texts: it finds hard negatives, and it is the first-stage row of tables."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


class BM25:
    """`scores(query)` rates every text: k1 = 0.9, b = 0.4, as in Anserini.

    `idf` weighs a word; left out, by the texts themselves.
    """

    def __init__(
        self,
        texts: Sequence[str],
        k1: float = 0.9,
        b: float = 0.4,
        *,
        idf: Callable[[str], float] | None = None,
    ) -> None:
        bags = [Counter(words(text)) for text in texts]
        lengths = np.array([sum(bag.values()) for bag in bags], dtype=np.float64)
        norm = k1 * (1 - b + b * lengths / max(float(lengths.mean()), 1.0))
        self.size = len(texts)
        postings: dict[str, list[tuple[int, int]]] = {}
        for i, bag in enumerate(bags):
            for word, count in bag.items():
                postings.setdefault(word, []).append((i, count))
        self._norm, self._postings, self._idf = norm, postings, idf or self._own_idf
        self._weighed: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def _own_idf(self, word: str) -> float:
        frequency = len(self._postings[word])
        return math.log(1 + (self.size - frequency + 0.5) / (frequency + 0.5))

    def scores(self, query: str) -> np.ndarray:
        """[texts] float64."""
        result = np.zeros(self.size)
        for word in words(query):
            if word in self._postings:
                texts, weights = self._weighed.get(word) or self._weigh(word)
                result[texts] += weights  # a text is once in a word's list
        return result

    def _weigh(self, word: str) -> tuple[np.ndarray, np.ndarray]:
        """Texts that have the word, and what it is worth in each. Kept: queries often share words."""
        texts, counts = map(np.array, zip(*self._postings[word], strict=True))
        self._weighed[word] = texts, self._idf(word) * counts / (counts + self._norm[texts])
        return self._weighed[word]
