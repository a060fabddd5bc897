"""Items that are known by name: vectors, learnt from histories, that are alike where the same people choose both.

Titles say little of what goes with what, and lists of twenty teach it slowly. Factors of the matrix of who chose what
(Hu, Koren and Volinsky 2008, "Collaborative filtering for implicit feedback datasets") say it at once, of items that
were seen often enough; of all others the text speaks alone.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

UNKNOWN = -1
_ARTICLE_LAST = re.compile(r"(.+), (the|an|a)( \(\d{4}\))?")


def item_key(text: str) -> int:
    """By what an item is known: a signed 64-bit hash (BLAKE2b) of its text without case and doubled spaces.

    "Fugitive, The (1993)", as catalogues sort it, is "The Fugitive (1993)".
    """
    words = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    found = _ARTICLE_LAST.fullmatch(words)
    if found is not None:
        words = f"{found[2]} {found[1]}{found[3] or ''}"
    digest = hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


@dataclass(frozen=True, slots=True, eq=False)
class ItemFactors:
    """V items: `keys` [V] (`item_key`, ascending), `spaces` [V] (only vectors of one space compare), `factors` [V, K].

    What was chosen n places before the latest counts `decay`ⁿ. Raises ValueError when these do not fit together.
    """

    keys: Ints
    spaces: Ints
    factors: Floats
    decay: float

    def __post_init__(self) -> None:
        shapes = self.keys.shape, self.spaces.shape, self.factors.shape[:1]
        if self.factors.ndim != 2 or self.keys.ndim != 1 or len(set(shapes)) != 1:
            raise ValueError(
                "keys and spaces must be rows of as many numbers as there are factors, not of shapes "
                f"{self.keys.shape}, {self.spaces.shape} and {self.factors.shape}"
            )
        if (np.diff(self.keys) <= 0).any():
            raise ValueError("keys must ascend, each once")
        if not np.isfinite(self.factors).all():
            raise ValueError("factors must be finite numbers")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, not {self.decay!r}")

    def rows(self, texts: Sequence[str]) -> Ints:
        """[texts]: each one's row, `UNKNOWN` where there is none."""
        keys = np.fromiter(map(item_key, texts), np.int64, len(texts))
        places = np.searchsorted(self.keys, keys).clip(max=max(len(self.keys) - 1, 0))
        known = self.keys[places] == keys if len(self.keys) else np.zeros(len(keys), dtype=bool)
        return np.where(known, places, UNKNOWN)

    def space(self, query: str | Sequence[str]) -> int | None:
        """The space that most of a history's known items are of, of several the first.

        None when none is known, and for a query in words.
        """
        rows = self.rows([] if isinstance(query, str) else query)
        spaces = self.spaces[rows[rows != UNKNOWN]]
        return int(np.bincount(spaces).argmax()) if len(spaces) else None

    def prior(self, history: Sequence[str], texts: Sequence[str]) -> Floats:
        """[texts]: the logits that the history gives each; 0 for an item that is not known.

        Σₕ decay^age(h) · xₕ·xᵢ over the history's known items of i's space, i itself left out: an item is no reason to
        choose it again. A number does not depend on the other texts, to the last bit.
        """
        seen, asked = self.rows(history), self.rows(texts)
        weights = self.decay ** np.arange(len(history))[::-1][seen != UNKNOWN]
        seen, known = seen[seen != UNKNOWN], asked != UNKNOWN
        items, prior = asked[known], np.zeros(len(texts), dtype=np.float32)
        if not len(seen) or not len(items):
            return prior
        vectors = self.factors[items].astype(np.float64)
        liked = np.zeros((int(self.spaces.max()) + 1, vectors.shape[1]))  # [spaces, K]
        np.add.at(liked, self.spaces[seen], weights[:, None] * self.factors[seen])
        itself = np.bincount(seen, weights, len(self.keys))[items]  # how much of it the item is
        # Summed row by row: a matrix product's last bits would depend on who else is asked about.
        prior[known] = (vectors * (liked[self.spaces[items]] - itself[:, None] * vectors)).sum(-1)
        return prior
