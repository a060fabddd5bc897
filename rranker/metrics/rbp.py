"""Rank-biased precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class RBP(Measure):
    """(1 - p) x sum over ranks i <= k of p^(i-1) gain_i (Moffat and Zobel 2008).

    gain is 1 for a relevant document; with `max_level` set it is level / max_level instead. `p` is the
    reader's persistence. trec_eval's `rbp` on binary judgements, where its p is 0.9.
    """

    p: float = 0.8
    max_level: int = 0
    label: ClassVar[str] = "RBP"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.p < 1.0:
            raise ValueError(f"RBP's persistence p lies between 0 and 1, not {self.p}")

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: relevance discounted by `p` a rank."""
        return _C.rbp(*ranked.arrays, self.cutoff, level, self.p, self.max_level)
