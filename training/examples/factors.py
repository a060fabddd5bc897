"""Vectors of items from who chose what, fitted in seconds: what a model is given to know of items by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rranker.item_factors import Floats, Ints, item_key


@dataclass(frozen=True)
class Factorisation:
    """Alternating least squares: a choice has the confidence 1 + `confidence`, what was not chosen 1.

    Of Hu, Koren and Volinsky 2008, "Collaborative filtering for implicit feedback datasets", by the library implicit.
    Vectors of `size` numbers are what is kept of vectors of twice as many: along the other axes little is said, and
    much of that is noise. Items that fewer than `people` chose are left out: what one person chose says nothing of
    anybody else.
    """

    size: int = 64
    regularization: float = 100.0
    confidence: float = 100.0
    iterations: int = 12
    people: int = 2

    def fit(self, histories: Sequence[Sequence[str]]) -> tuple[Ints, Floats]:
        """Histories of item texts → keys [V], ascending, and vectors [V, K], K being `size` or fewer.

        Raises ValueError when no item was chosen often enough.
        """
        import implicit
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits

        pairs = {(person, item_key(text)) for person, texts in enumerate(histories) for text in texts}
        people, held = np.array(sorted(pairs) or np.zeros((0, 2)), dtype=np.int64).T
        keys, columns, counts = np.unique(held, return_inverse=True, return_counts=True)
        kept = counts >= self.people
        if not kept.any():
            raise ValueError(
                f"no item is in the histories of {self.people} people: nothing goes with anything"
            )
        often = kept[columns]
        columns = (np.cumsum(kept) - 1)[columns[often]]
        shape = len(histories), int(kept.sum())
        matrix = csr_matrix((np.ones(len(columns), dtype=np.float32), (people[often], columns)), shape=shape)
        als = implicit.als.AlternatingLeastSquares(
            factors=min(2 * self.size, *shape),
            regularization=self.regularization,
            alpha=self.confidence,
            iterations=self.iterations,
            num_threads=1,
            random_state=0,
        )
        with threadpool_limits(1, "blas"):
            als.fit(matrix, show_progress=False)
        return keys[kept], compressed(self._folded(als.item_factors.astype(np.float64)), self.size)

    def _folded(self, items: np.ndarray) -> np.ndarray:
        """Vectors whose products are what one item says of another.

        Somebody's own vector solves a least squares problem; where all confidences are 1 it is A⁻¹ Σ x over what they
        chose, A being XᵀX + regularization · I. So A^(-1/2) x stands for x on either side.
        """
        values, axes = np.linalg.eigh(items.T @ items + self.regularization * np.eye(items.shape[1]))
        folded: np.ndarray = items @ (axes * values**-0.5) @ axes.T
        return folded


def compressed(vectors: np.ndarray, size: int) -> Floats:
    """vectors [V, K] → [V, `size` or K, if that is less], whose products are as near to theirs as any can be."""
    _, axes = np.linalg.eigh(vectors.T @ vectors)  # by ascending eigenvalues
    kept: Floats = (vectors @ axes[:, -size:]).astype(np.float32)
    return kept
