"""What one list teaches: its relevance, and a teacher's view of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rranker.data import RankingExample


@dataclass(frozen=True)
class Example:
    """A case, and a teacher's log preferences over its candidates.

    `teacher_weight` is the share of the target that they make, relevance makes the rest.
    """

    ranking: RankingExample
    teacher_scores: np.ndarray
    teacher_weight: float
