"""Normalised discounted cumulative gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from rranker import _C
from rranker.metrics.measure import Floats, Measure, Ranked
from rranker.real import real_number
from rranker.whole import whole_number


@dataclass(frozen=True)
class nDCG(Measure):
    """DCG@k / ideal DCG@k, with DCG@k = sum over ranks i <= k of gain(level_i) / log2(i + 1).

    `gains`: "linear" (the level; Jarvelin and Kekalainen 2002, trec_eval's `ndcg` and `ndcg_cut`), "exp"
    (2^level - 1; Burges et al. 2005), or a dict of gains by level; levels it leaves out keep their own value,
    as in trec_eval's `-m ndcg.1=3,2=9`. Unjudged documents gain nothing. 0 where nothing can be gained.

    trec_eval sorts custom gains by their difference cut to an integer, so gains less than 1 apart may come in
    the wrong order there; here the ideal is always the true one.
    """

    gains: Literal["linear", "exp"] | tuple[tuple[int, float], ...] | Mapping[int, float] = "linear"
    label: ClassVar[str] = "nDCG"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rel is not None:
            raise ValueError(
                "nDCG takes no rel: every level gains; give gains, such as nDCG(1=0), to leave one out"
            )
        if not isinstance(self.gains, Mapping | tuple) and self.gains not in ("linear", "exp"):
            raise ValueError(f'gains is "linear", "exp" or a dict of gains by level, not {self.gains!r}')
        for level, gain in self._pairs():
            whole_number(level, "a level of nDCG's gains", least=0)
            real_number(gain, f"nDCG's gain of level {level}")
        if isinstance(self.gains, Mapping):  # kept hashable
            object.__setattr__(self, "gains", tuple(sorted(self.gains.items())))

    def _pairs(self) -> tuple[tuple[int, float], ...]:
        if isinstance(self.gains, str):
            return ()
        return tuple(self.gains.items()) if isinstance(self.gains, Mapping) else self.gains

    def compute(self, ranked: Ranked, level: int) -> Floats:
        """One value a query: discounted gain within `k`, over that of the best order."""
        pairs = self._pairs()
        if pairs:  # the table is as long as its last level: those that nobody has are left out
            highest = max(int(levels.max(initial=0)) for levels in (ranked.ranked, ranked.judged))
            pairs = tuple((at, gain) for at, gain in pairs if at <= highest)
        table = np.arange(max((at for at, _ in pairs), default=-1) + 1, dtype=np.float64)
        for at, gain in pairs:
            table[at] = gain
        return _C.ndcg(*ranked.arrays, self.cutoff, table, self.gains == "exp")
