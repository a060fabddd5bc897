"""Rank-biased precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked
from rranker.real import real_number
from rranker.whole import whole_number


@dataclass(frozen=True)
class RBP(Measure):
    """(1 - p) x sum over ranks i <= k of p^(i-1) gain_i (Moffat and Zobel 2008).

    gain is 1 for a relevant document; with `max_level` set it is level / max_level instead. `p`, the reader's
    persistence, has to be given (None is refused), as others' defaults differ: trec_eval's is 0.9, ir_measures' 0.8.

    On binary judgements this is trec_eval's `rbp` and ranx's. On graded ones ranx weighs by the bare level, which may
    exceed 1: that is `max_level` times this with `max_level` set.
    """

    p: float | None = None
    max_level: int = 0
    label: ClassVar[str] = "RBP"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.p is None:
            raise ValueError(
                "RBP needs its persistence p, such as RBP(p=0.8): trec_eval's default is 0.9, ir_measures' 0.8"
            )
        object.__setattr__(self, "p", real_number(self.p, "RBP's persistence p", above=0, below=1))
        whole_number(self.max_level, "RBP's max_level", least=0)

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: relevance discounted by `p` a rank."""
        assert self.p is not None
        return _C.rbp(*ranked.arrays, self.cutoff, level, self.p, self.max_level)
