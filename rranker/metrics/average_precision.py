"""Average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class AP(Measure):
    """Sum of the precision at each relevant document retrieved within k, divided by all relevant documents.

    Its mean over queries is MAP (Harman 1992); trec_eval's `map`, and `map_cut` with a cutoff.
    """

    label: ClassVar[str] = "AP"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: the mean of the precision at each relevant document, 0 for those not retrieved."""
        return _C.average_precision(*ranked.arrays, self.cutoff, level)
