"""An encoder of texts as a teacher: the cosine between a query and a text, as its own training compared them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rranker.engine.embedding import Embedding

SCALE = 20.0
"""By which sentence-transformers multiplies cosines when it trains: a softmax over them is then a preference."""


class Similarity(Embedding):
    """See `Embedding`."""

    def scores(self, query: str, texts: Sequence[str]) -> np.ndarray:
        """[texts] log preferences: scaled cosines."""
        result: np.ndarray = SCALE * self.vectors(texts) @ self.queries([query])[0]
        return result
