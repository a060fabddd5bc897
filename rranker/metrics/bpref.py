"""Binary preference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked


@dataclass(frozen=True)
class Bpref(Measure):
    """1/R x sum over relevant retrieved of 1 - min(n, R) / min(N, R) (Buckley and Voorhees 2004).

    R relevant and N judged non-relevant documents; n of the latter stand above. Unjudged ones are passed
    over. trec_eval's `bpref`; its file `bpref_bug` explains the min(N, R).
    """

    label: ClassVar[str] = "Bpref"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k is not None:
            raise ValueError("Bpref takes no cutoff; use evaluate(..., max_docs=k)")

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: how rarely judged non-relevant documents come before relevant ones."""
        return _C.bpref(*ranked.arrays, 0, level)
