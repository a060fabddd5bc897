"""Recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class R(Measure):
    """Relevant documents within k, divided by all relevant ones; 0 when there are none.

    trec_eval's `recall`; without a cutoff its `set_recall`.
    """

    label: ClassVar[str] = "R"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: the share of relevant documents found within `k`; 0 where there are none."""
        relevant = _C.relevant_count(*ranked.arrays, level)
        hits = _C.found_within(*ranked.arrays, self.cutoff, level)
        return np.divide(hits, relevant, out=np.zeros_like(hits), where=relevant > 0)
