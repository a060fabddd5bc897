"""What relevance is made of: what a model says of each candidate alone, with the ranking or by further questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..calibration import Calibration
from ..engine.readout.request import PointwiseScore
from ..methods import Episode, Subset, method_class
from ..prompts.segments import Kind

CONTENT_FREE = "N/A"
"""The candidate that says nothing (Zhao et al. 2021)."""


class AskedOnce:
    """One question about all of `n` candidates, whose logits are kept. See `rranker.engine.method.Method`."""

    def __init__(self, kind: Kind, n: int) -> None:
        self.kind: Kind = kind
        self.logits: NDArray[np.float64] = np.zeros(0)
        self._all: Subset = tuple(range(n))

    @property
    def remaining(self) -> int:
        """1 until it was answered."""
        return 0 if len(self.logits) else 1

    def subsets(self, depth: int) -> list[Subset]:
        """All of them."""
        return [self._all]

    def observe(self, subsets: Sequence[Subset], logits: Sequence[NDArray[np.floating]]) -> int:
        """Keeps the answer."""
        self.logits = np.asarray(logits[0], dtype=np.float64)
        return 1


def question_of(calibration: Calibration) -> Kind:
    """What is asked of a candidate alone. A pointer's states are read, so any question that shows it alone does."""
    return "judge" if calibration.source == "pointer" else method_class(calibration.source).kind


def pointwise_score(calibration: Calibration) -> PointwiseScore | None:
    """What a pointer is to say of each candidate, beside its answers; None of a language model."""
    if calibration.source != "pointer":
        return None
    return "tokens" if calibration.late_interaction else "states"


def asks_the_same(method: type[Episode], calibration: Calibration) -> bool:
    """Whether the ranking's own question is the one that is calibrated."""
    return calibration.source != "pointer" and method.one_question and method.kind == question_of(calibration)


def corrected(scores: Sequence[float], calibration: Calibration) -> list[float]:
    """What `calibration` takes. Where it is `content_free`, `scores` end with what was said of that candidate."""
    if not calibration.content_free:
        return list(scores)
    *said, base = scores
    return [score - base for score in said]
