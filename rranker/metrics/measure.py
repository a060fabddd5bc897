"""What a measure is, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rranker.whole import whole_number

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Relevance levels of many queries (CSR): in ranked order, and of all judged documents, highest first.

    In `ranked`, -1 stands for a document that is not in the qrels, -2 for one judged with a negative level.
    """

    ranked_offsets: NDArray[np.int64]
    ranked: NDArray[np.int32]
    judged_offsets: NDArray[np.int64]
    judged: NDArray[np.int32]

    @property
    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
        """All four, in the order in which the extension takes them."""
        return self.ranked_offsets, self.ranked, self.judged_offsets, self.judged


@dataclass(frozen=True)
class Measure:
    """A ranking measure.

    `k` cuts the ranking off (None: all of it); `rel` is the least level that counts as relevant, 1 or more (None: the
    `relevance_level` given to `evaluate`, 1 by default).
    """

    k: int | None = None
    rel: int | None = None
    total: ClassVar[bool] = False  # summed over queries instead of averaged
    label: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for name in ("k", "rel"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole_number(value, f"{self.label}'s {name}"))
        if self.k is not None and self.k < 1:
            raise ValueError(f"{self.label}'s cutoff must be at least 1, not {self.k}")
        if self.rel is not None and self.rel < 1:
            raise ValueError(f"{self.label}'s rel must be at least 1, not {self.rel}: level 0 is irrelevant")

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query, under relevance level `level`."""
        raise NotImplementedError

    def __call__(self, ranked: Ranked, relevance_level: int = 1) -> Floats:
        """`compute`, under the measure's own relevance level where it has one."""
        return self.compute(ranked, relevance_level if self.rel is None else self.rel)

    @property
    def cutoff(self) -> int:
        """`k` as the extension takes it: 0 for none."""
        return self.k or 0

    def __str__(self) -> str:
        shown = [
            f"{f.name}={getattr(self, f.name)}"
            for f in fields(self)
            if f.name != "k" and getattr(self, f.name) != f.default
        ]
        name = self.label + (f"({','.join(shown)})" if shown else "")
        return name if self.k is None else f"{name}@{self.k}"
