"""How far probabilities can be taken at their word: calibration error, Brier score, and the table behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rranker.choices import one_of
from rranker.whole import whole_number

Bins = Literal["mass", "width"]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Those whose probability fell into one bin: how many, their mean probability, and the share that was relevant."""

    count: int
    probability: float
    relevant: float


def reliability(
    probabilities: ArrayLike, labels: ArrayLike, bins: int, by: Bins = "mass"
) -> list[ReliabilityBin]:
    """The bins that hold anything, from the least probable on. Both [N]; labels are 0 or 1.

    `mass`: about as many in each (equal probabilities stay together); `width`: each covers 1 / bins.

    Raises ValueError for no values, different lengths, probabilities outside of [0, 1], other labels, or no bins.
    """
    found, truth = _checked(probabilities, labels)
    bins = whole_number(bins, "bins", least=1)
    one_of(by, "by", get_args(Bins))
    if by == "width":
        places = np.minimum((found * bins).astype(np.int64), bins - 1)
    else:
        ranked = np.sort(found)
        middles = (np.searchsorted(ranked, found, "left") + np.searchsorted(ranked, found, "right")) / 2
        places = np.minimum((middles * bins / len(found)).astype(np.int64), bins - 1)
    members: Sequence[NDArray[np.bool_]] = [places == place for place in np.unique(places)]
    return [
        ReliabilityBin(int(inside.sum()), float(found[inside].mean()), float(truth[inside].mean()))
        for inside in members
    ]


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15, by: Bins = "mass"
) -> float:
    """ECE = Σ (n_b / N) · |mean probability − share of relevant| over bins b; 0 is best.

    By `width` as Naeini et al. 2015 define it, by `mass` as Nguyen and O'Connor 2015 do. Raises what `reliability`
    raises.
    """
    table = reliability(probabilities, labels, bins, by)
    gaps = [each.count * abs(each.probability - each.relevant) for each in table]
    return sum(gaps) / sum(each.count for each in table)


def brier_score(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """The mean of (probability − label)² (Brier 1950); 0 is best. Raises what `reliability` raises."""
    found, truth = _checked(probabilities, labels)
    return float(np.mean((found - truth) ** 2))


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    if found.ndim != 1 or found.shape != truth.shape or not len(found):
        raise ValueError(
            f"probabilities and labels must be as many, and some: their shapes are {found.shape} and {truth.shape}"
        )
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    return found, truth
