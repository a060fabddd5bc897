"""What a method decided, in places of its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Subset = tuple[int, ...]
"""Places of candidates, in the order in which a prompt shows them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict: `probabilities[k]` is that of `asked[k]` being named; `named`: those it decided, in that order.

    `thought`: what was said before it, where the model was let think.
    """

    asked: Subset
    named: Subset
    probabilities: tuple[float, ...]
    thought: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`order`: places, best first. `kept[r]`: the probability of the r-th being kept (preferred) where it counted."""

    order: Subset
    kept: tuple[float, ...]
    decisions: tuple[Decision, ...]


def probabilities(logits: NDArray[np.float64]) -> tuple[float, ...]:
    """Softmax."""
    weights = np.exp(logits - logits.max())
    return tuple((weights / weights.sum()).tolist())


def by_logit(asked: Subset, logits: NDArray[np.float64], *, later_first: bool) -> Subset:
    """All of `asked`, the most probable to be named first; of equals, the later or the earlier in the prompt."""
    places = np.arange(len(asked))
    return tuple([asked[i] for i in np.lexsort((-places if later_first else places, -logits)).tolist()])


def preferences(decision: Decision, order: Sequence[int]) -> list[float]:
    """How probably each of `order` is named before all that follow it: p_r / Σ_{j ≥ r} p_j (Plackett-Luce)."""
    at = dict(zip(decision.asked, decision.probabilities, strict=True))
    weights = np.asarray([at[place] for place in order], dtype=np.float64)
    following = np.cumsum(weights[::-1])[::-1]
    kept: list[float] = (weights / np.maximum(following, np.finfo(float).tiny)).tolist()
    return kept
