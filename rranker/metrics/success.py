"""Success at a cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class Success(Measure):
    """1 when a relevant document stands within k, else 0 (Tomlinson 2005); trec_eval's `success`."""

    label: ClassVar[str] = "Success"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: 1 where a relevant document stands within `k`, else 0."""
        return (_C.found_within(*ranked.arrays, self.cutoff, level) > 0).astype(np.float64)
