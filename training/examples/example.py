"""What one list teaches: its grades, and a teacher's view of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rranker.data import Case


@dataclass(frozen=True)
class Lesson:
    """A case, and a teacher's log preferences over its candidates.

    `trust` is the share of the target that they make, the grades make the rest.
    """

    case: Case
    hints: np.ndarray
    trust: float
