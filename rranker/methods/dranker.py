"""DRanker: the whole ranking in one shot, as a Plackett-Luce model of the best-fitting question's logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .outcome import Decision, Outcome


class DRanker:
    """One query's single round. Works on places 0 … n-1 of its walking order, and on logits alone.

    Under Plackett-Luce the most probable ranking sorts by logit, and a candidate is preferred to all that
    follow it with probability exp(s_r) / Σ_{j ≥ r} exp(s_j).
    """

    kind: Literal["select"] = "select"

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"there must be at least one candidate, not {n}")
        self._n = n
        self._logits: NDArray[np.float64] | None = np.zeros(1) if n == 1 else None

    @property
    def remaining(self) -> int:
        return 0 if self._logits is not None else 1

    def asks(self, depth: int) -> list[tuple[int, ...]]:
        return [tuple(range(self._n))]

    def observe(self, asks: Sequence[tuple[int, ...]], logits: Sequence[NDArray[np.floating]]) -> int:
        self._logits = np.asarray(logits[0], dtype=np.float64)
        return 1

    def outcome(self) -> Outcome:
        """The ranking, once `remaining` is 0."""
        if self._logits is None:
            raise ValueError("the one round has not been played")
        if self._n == 1:
            return Outcome((0,), (1.0,), ())
        order = np.argsort(-self._logits, kind="stable")
        weights = np.exp(self._logits - self._logits.max())
        following = np.cumsum(weights[order][::-1])[::-1]
        kept = weights[order] / np.maximum(following, np.finfo(float).tiny)
        decision = Decision(tuple(range(self._n)), (), tuple((weights / weights.sum()).tolist()))
        return Outcome(tuple(order.tolist()), tuple(kept.tolist()), (decision,))
