"""A small BM25 over one set of texts: it finds hard negatives, and it is the first-stage row of tables."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


class BM25:
    """`scores(query)` rates every text: k1 = 0.9, b = 0.4, as in Anserini."""

    def __init__(self, texts: list[str], k1: float = 0.9, b: float = 0.4) -> None:
        bags = [Counter(words(text)) for text in texts]
        lengths = np.array([sum(bag.values()) for bag in bags], dtype=np.float64)
        norm = k1 * (1 - b + b * lengths / max(float(lengths.mean()), 1.0))
        self.size = len(texts)
        postings: dict[str, list[tuple[int, float]]] = {}
        frequency = Counter(word for bag in bags for word in bag)
        for i, bag in enumerate(bags):
            for word, count in bag.items():
                idf = math.log(1 + (self.size - frequency[word] + 0.5) / (frequency[word] + 0.5))
                weight = idf * count / (count + norm[i])
                postings.setdefault(word, []).append((i, weight))
        self._postings = {
            word: (np.array([i for i, _ in found]), np.array([weight for _, weight in found]))
            for word, found in postings.items()
        }

    def scores(self, query: str) -> np.ndarray:
        """[texts] float64."""
        result = np.zeros(self.size)
        for word in words(query):
            if word in self._postings:
                texts, weights = self._postings[word]
                result[texts] += weights  # a text stands once in a word's list
        return result
