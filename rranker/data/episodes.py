"""Training cases of the two methods: one list of every size for IRanker, the whole list for DRanker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .case import Case


def iterative_cases(cases: Iterable[Case], seed: int = 0) -> Iterator[Case]:
    """For every case its sublists of sizes n, n-1, …, 2, each without one more of the worse candidates.

    A best candidate is always among them, as in an episode that has gone well so far. Which worse one went
    is drawn, so sublists of one case are nested but not always the same.
    """
    for number, case in enumerate(cases):
        rng = np.random.default_rng([seed, number])
        best = max(case.grades)
        alive = list(range(len(case.candidates)))
        while len(alive) > 1:
            yield _sublist(case, alive)
            worse = [i for i in alive if case.grades[i] < best] or alive
            alive.remove(worse[int(rng.integers(len(worse)))])


def _sublist(case: Case, alive: list[int]) -> Case:
    return Case(
        task=case.task,
        query=case.query,
        instruction=case.instruction,
        candidates=[case.candidates[i] for i in alive],
        grades=[case.grades[i] for i in alive],
        id=case.id,
    )
