"""What is learnt from: one list, or many queries against one pool, each with a teacher's view of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from rranker.data import RankingExample
from rranker.prompts.segments import Query


@dataclass(frozen=True)
class Example:
    """A case, and a teacher's log preferences over its candidates.

    `teacher_weight` is the share of the target that they make, relevance makes the rest.
    """

    ranking: RankingExample
    teacher_scores: np.ndarray
    teacher_weight: float

    def part(self, indices: Sequence[int]) -> Self:
        """The same list with these candidates alone."""
        candidates = [self.ranking.candidates[i] for i in indices]
        relevance = [self.ranking.relevance[i] for i in indices]
        ranking = replace(self.ranking, candidates=candidates, relevance=relevance)
        return replace(self, ranking=ranking, teacher_scores=np.asarray(self.teacher_scores)[list(indices)])


@dataclass(frozen=True)
class Pairs:
    """Every one of B queries against every one of M texts: what a query and a text say to each other unseen.

    `relevance` and `teacher_scores` are [B, M], the latter -∞ where a text is no candidate of the query.
    """

    task: str
    queries: Sequence[Query]
    texts: Sequence[str]
    relevance: np.ndarray
    teacher_scores: np.ndarray
    teacher_weight: float
