"""Reciprocal rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class RR(Measure):
    """1 / rank of the first relevant document, 0 when there is none within k (Kantor and Voorhees 2000).

    Its mean over queries is MRR; trec_eval's `recip_rank`.
    """

    label: ClassVar[str] = "RR"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: 1 over the rank of the first relevant document within `k`, else 0."""
        return _C.reciprocal_rank(*ranked.arrays, self.cutoff, level)
