"""Training cases of the two methods: one list of every size for IRanker, the whole list for DRanker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .example import RankingExample


def iterative_cases(cases: Iterable[RankingExample], seed: int = 0) -> Iterator[RankingExample]:
    """For every case its sublists of sizes n, n-1, …, 2, each without one more of the worse candidates.

    A best candidate is always among them, as in an episode that has gone well so far. Which worse one went
    is drawn, so sublists of one case are nested but not always the same.
    """
    for number, case in enumerate(cases):
        rng = np.random.default_rng([seed, number])
        best = max(case.relevance)
        alive = list(range(len(case.candidates)))
        while len(alive) > 1:
            yield _sublist(case, alive)
            worse = [i for i in alive if case.relevance[i] < best] or alive
            alive.remove(worse[int(rng.integers(len(worse)))])


def _sublist(case: RankingExample, alive: list[int]) -> RankingExample:
    return RankingExample(
        task=case.task,
        query=case.query,
        instruction=case.instruction,
        candidates=[case.candidates[i] for i in alive],
        relevance=[case.relevance[i] for i in alive],
        id=case.id,
    )
