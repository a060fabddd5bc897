"""From what a model says of a candidate alone to the probability that it fits, and such probabilities in order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from .choices import one_of

Source = Literal["pointer", "pointwise", "query_likelihood"]


@dataclass(frozen=True, slots=True)
class SpaceCurve:
    """The slope and intercept for histories of one space of a model's item factors (`ItemFactors.space`).

    Priors count differently beside the text from one space to the next, and so does a logit of their sum. Raises
    ValueError for a space that is no number from 0 on, and as `Calibration` does.
    """

    space: int
    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if isinstance(self.space, bool) or not isinstance(self.space, int) or self.space < 0:
            raise ValueError(f"space must be a whole number from 0 on, not {self.space!r}")
        _check_curve(self.slope, self.intercept)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic calibration (Platt 1999) for one template: P(fits) = 1 / (1 + exp(-(slope · x + intercept))).

    `source` says what x is. `pointer`: the head's fitness without its set-aware term, and with `late_interaction` what
    that adds by the query's words (without, it is left out; feedback always is). `pointwise`: the logit of yes
    less that of no. `query_likelihood`: the mean log-probability of the query's tokens, in nats. With `content_free`,
    x is less by what is said of a candidate that says nothing (contextual calibration, Zhao et al. 2021,
    arXiv 2102.09690), so that how a model takes a query as such falls out. `spaces`: curves for histories whose items
    the model knows by name, each in place of slope and intercept.

    Raises ValueError for a number that is not finite, a slope that is not above 0 (a better candidate would become
    less probable), an unknown source, or a space that has two curves.
    """

    slope: float
    intercept: float
    source: Source = "pointer"
    content_free: bool = False
    late_interaction: bool = False
    spaces: tuple[SpaceCurve, ...] = ()

    def __post_init__(self) -> None:
        _check_curve(self.slope, self.intercept)
        one_of(self.source, "source", get_args(Source))
        for name in ("content_free", "late_interaction"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.content_free and self.source == "pointer":
            raise ValueError("content_free goes with a question, and source 'pointer' asks none")
        if self.late_interaction and self.source != "pointer":
            raise ValueError(f"late_interaction goes with source 'pointer', not {self.source!r}")
        if self.spaces and self.source != "pointer":
            raise ValueError(
                f"spaces go with source 'pointer', whose scores hold priors, not {self.source!r}"
            )
        if len({curve.space for curve in self.spaces}) < len(self.spaces):
            raise ValueError("a space has one curve, and here some have more")

    @classmethod
    def read(cls, saved: object) -> Calibration:
        """From an object as JSON holds it. Raises ValueError for unknown or missing entries and wrong values."""
        entries = _entries(cls, saved, {"slope", "intercept"})
        spaces = entries.pop("spaces", ())
        if not isinstance(spaces, list | tuple):
            raise ValueError(f"spaces must be a list, not {spaces!r}")
        curves = (
            SpaceCurve(**_entries(SpaceCurve, each, {"space", "slope", "intercept"})) for each in spaces
        )
        return cls(**entries, spaces=tuple(curves))

    def in_space(self, space: int | None) -> Calibration:
        """With the curve of this space as its only one; the joint curve where the space has none, or is None."""
        for curve in self.spaces:
            if curve.space == space:
                return replace(self, slope=curve.slope, intercept=curve.intercept, spaces=())
        return replace(self, spaces=())

    def probability(self, score: float) -> float:
        """The probability that a candidate of this score fits, in [0, 1]."""
        z = self.slope * score + self.intercept
        if z >= 0:
            return 1.0 / (1.0 + math.exp(-z))
        return math.exp(z) / (1.0 + math.exp(z))


def _check_curve(slope: float, intercept: float) -> None:
    for name, value in (("slope", slope), ("intercept", intercept)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}")
    if slope <= 0:
        raise ValueError(f"slope must be above 0, not {slope!r}, so that relevance rises with the score")


def _entries(cls: type[Calibration] | type[SpaceCurve], saved: object, needed: set[str]) -> dict[str, Any]:
    """What `cls` takes. Raises ValueError for unknown or missing entries."""
    if not isinstance(saved, Mapping):
        raise ValueError(f"it must be an object, not {saved!r}")
    unknown, missing = set(saved) - {each.name for each in fields(cls)}, needed - set(saved)
    wrong = [*(f"unknown entry {name!r}" for name in sorted(map(str, unknown)))]
    wrong += [f"no {name!r}" for name in sorted(missing)]
    if wrong:
        raise ValueError("; ".join(wrong))
    return dict(saved)


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
