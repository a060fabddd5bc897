"""From what a model says of a candidate alone to the probability that it fits, and such probabilities in order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

Source = Literal["pointer", "pointwise", "query_likelihood"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic calibration (Platt 1999) for one template: P(fits) = 1 / (1 + exp(-(slope · x + intercept))).

    `source` says what x is. `pointer`: the head's fitness without its set-aware term. `pointwise`: the logit of yes
    less that of no. `query_likelihood`: the mean log-probability of the query's tokens, in nats. With `content_free`,
    x is less by what is said of a candidate that says nothing (contextual calibration, Zhao et al. 2021,
    arXiv 2102.09690), so that how a model takes a query as such falls out.

    Raises ValueError for a number that is not finite, a slope that is not above 0 (a better candidate would become
    less probable), or an unknown source.
    """

    slope: float
    intercept: float
    source: Source = "pointer"
    content_free: bool = False

    def __post_init__(self) -> None:
        for name in ("slope", "intercept"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, not {value!r}")
        if self.slope <= 0:
            raise ValueError(
                f"slope must be above 0, not {self.slope!r}, so that relevance rises with the score"
            )
        if self.source not in get_args(Source):
            raise ValueError(f"source must be one of {', '.join(get_args(Source))}, not {self.source!r}")
        if not isinstance(self.content_free, bool):
            raise ValueError(f"content_free must be true or false, not {self.content_free!r}")
        if self.content_free and self.source == "pointer":
            raise ValueError("content_free goes with a question, and source 'pointer' asks none")

    @classmethod
    def read(cls, saved: object) -> Calibration:
        """From an object as JSON holds it. Raises ValueError for unknown or missing entries and wrong values."""
        if not isinstance(saved, Mapping):
            raise ValueError(f"it must be an object, not {saved!r}")
        unknown = set(saved) - {each.name for each in fields(cls)}
        missing = {"slope", "intercept"} - set(saved)
        wrong = [*(f"unknown entry {name!r}" for name in sorted(map(str, unknown)))]
        wrong += [f"no {name!r}" for name in sorted(missing)]
        if wrong:
            raise ValueError("; ".join(wrong))
        return cls(**saved)

    def probability(self, score: float) -> float:
        """The probability that a candidate of this score fits, in [0, 1]."""
        z = self.slope * score + self.intercept
        if z >= 0:
            return 1.0 / (1.0 + math.exp(-z))
        return math.exp(z) / (1.0 + math.exp(z))


def non_increasing(values: Sequence[float]) -> list[float]:
    """The non-increasing sequence nearest to `values` in least squares, all weights equal.

    Pool-adjacent-violators (Ayer et al. 1955; Barlow et al. 1972): a run that rises becomes its mean. In linear time.
    """
    sums, sizes = list[float](), list[int]()
    for value in values:
        total, size = float(value), 1
        while sums and sums[-1] / sizes[-1] < total / size:
            total, size = total + sums.pop(), size + sizes.pop()
        sums.append(total)
        sizes.append(size)
    return [total / size for total, size in zip(sums, sizes, strict=True) for _ in range(size)]


def strictly_falling(values: Sequence[float]) -> list[float]:
    """Values that do not rise, each lowered where it must be so that they fall strictly, as 32-bit floats too.

    Those that would tie, or tie once rounded to float32, are one step of float32 apart: whoever sorts by them, in
    single or double precision, gets the order back.
    """
    falling, last = list[float](), np.float32(np.inf)
    for value in values:
        last = min(np.float32(value), np.nextafter(last, np.float32(-np.inf)))
        falling.append(float(last))
    return falling
