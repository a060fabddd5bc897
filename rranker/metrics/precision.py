"""Precision at a cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class P(Measure):
    """Relevant documents within k, divided by k (not by what was retrieved); trec_eval's `P`."""

    label: ClassVar[str] = "P"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k is None:
            raise ValueError("P needs a cutoff, such as P@10")

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: relevant documents within `k`, over `k`."""
        return _C.found_within(*ranked.arrays, self.cutoff, level) / float(self.cutoff)
