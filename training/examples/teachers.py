"""Rankers as teachers: how much each candidate of a list was to be expected.

A gold item is one bit; log preferences over the whole list teach many times over. Teachers see training data
only, and they are not needed after training.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from rranker.data import Interactions
from rranker.data.lexical import BM25, words


class Neighbours:
    """Smoothed item-to-item transition rates, halfway between what is likely and what is special."""

    def __init__(self, interactions: Interactions, smoothing: float = 10.0, forget: float = 0.1) -> None:
        from scipy.sparse import csr_matrix

        users = interactions.train_users
        pairs = [(row, item) for row, user in enumerate(users) for item in interactions.histories[user]]
        rows, items = np.array(pairs or [(0, 0)]).T
        held = np.ones(len(items)) if pairs else np.zeros(1)
        matrix = csr_matrix((held, (rows, items)), shape=(max(len(users), 1), len(interactions.titles)))
        self._both = (matrix.T @ matrix).tocsr()  # [items, items] users who have both
        self._users = self._both.diagonal()  # [items] users who have it
        self._total = len(users)
        self._smoothing, self._forget = smoothing, forget

    def scores(
        self, history: Sequence[int], candidates: Sequence[int], own: Sequence[int] = ()
    ) -> np.ndarray:
        """[candidates] log preferences.

        `own` are all items of the asking user when that user is counted in: the user is taken out again, or the
        teacher would have seen the answer.
        """
        held = np.isin(candidates, own).astype(np.float64)
        counted = float(bool(own))
        share = ((self._users[list(candidates)] - held).clip(0) + 0.1) / self._total
        weights = np.exp(-self._forget * np.arange(len(history))[::-1])
        both = self._both[list(history)][:, list(candidates)].toarray() - held
        of_each = self._users[list(history), None] - counted + self._smoothing
        rates = (both.clip(0) + self._smoothing * share) / of_each
        result: np.ndarray = np.log(weights / weights.sum() @ rates) - 0.5 * np.log(share)
        return result


class Lexical:
    """BM25 with the document frequencies of one fixed collection."""

    def __init__(self, texts: Iterable[str]) -> None:
        bags = [words(text) for text in texts]
        seen = Counter(word for bag in bags for word in set(bag))
        self._idf = {word: math.log(1 + len(bags) / count) for word, count in seen.items()}
        self._rare = math.log(1 + len(bags))

    def idf(self, word: str) -> float:
        """A word's inverse document frequency; a word never seen counts as a rare one."""
        return self._idf.get(word, self._rare)

    def scores(self, query: str, texts: Sequence[str]) -> np.ndarray:
        """[texts]."""
        return BM25(texts, idf=self.idf).scores(query)
