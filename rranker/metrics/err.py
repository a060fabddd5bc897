"""Expected reciprocal rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked
from rranker.whole import whole_number


@dataclass(frozen=True)
class ERR(Measure):
    """Sum over ranks i <= k of stop_i / i x product over j < i of (1 - stop_j) (Chapelle et al. 2009).

    stop_i = (2^level_i - 1) / 2^max_level is the chance that a reader who comes to rank i is satisfied there.
    `max_level` belongs to the collection; 4 is what TREC's `gdeval` uses. Higher levels count as `max_level`.
    """

    max_level: int = 4
    label: ClassVar[str] = "ERR"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rel is not None:
            raise ValueError("ERR takes no rel: every level counts by its own chance")
        if not 1 <= whole_number(self.max_level, "ERR's max_level") <= 30:
            raise ValueError(f"ERR's max_level lies between 1 and 30, not {self.max_level}")

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: the expected reciprocal of the rank at which a user stops."""
        return _C.err(*ranked.arrays, self.cutoff, self.max_level)
