"""Counts: summed over queries where the other measures are averaged, as trec_eval does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class NumQ(Measure):
    """Queries evaluated; trec_eval's `num_q`."""

    total: ClassVar[bool] = True
    label: ClassVar[str] = "NumQ"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: 1."""
        return np.ones(ranked.ranked_offsets.size - 1)


@dataclass(frozen=True)
class NumRet(Measure):
    """Documents retrieved; trec_eval's `num_ret`."""

    total: ClassVar[bool] = True
    label: ClassVar[str] = "NumRet"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: documents retrieved."""
        return np.diff(ranked.ranked_offsets).astype(np.float64)


@dataclass(frozen=True)
class NumRel(Measure):
    """Relevant documents in the qrels; trec_eval's `num_rel`."""

    total: ClassVar[bool] = True
    label: ClassVar[str] = "NumRel"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: relevant documents in the qrels."""
        return _C.relevant_count(*ranked.arrays, level)


@dataclass(frozen=True)
class NumRelRet(Measure):
    """Relevant documents retrieved; trec_eval's `num_rel_ret`."""

    total: ClassVar[bool] = True
    label: ClassVar[str] = "NumRelRet"

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: relevant documents retrieved, within `k`."""
        return _C.found_within(*ranked.arrays, self.cutoff, level)
