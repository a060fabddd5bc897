"""Numbers that callers pass and that need not be whole: one rule for thresholds, weights, seconds and prices."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def real_number(
    value: Any,
    what: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """`value` (Python's or NumPy's) as a finite float within bounds; `what` names it in errors, as in "threshold".

    Raises TypeError for anything that is no number (booleans and text among them), ValueError for NaN, an infinity, and
    what is out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        shown = repr(value) if isinstance(value, str | bool) else type(value).__name__
        raise TypeError(f"{what} must be {_wanted(least, above, most, below)}, not {shown}")
    try:
        number = float(value)
    except OverflowError:  # a whole number, or a fraction
        number = math.inf
    fits = (
        math.isfinite(number)
        and (least is None or number >= least)
        and (above is None or number > above)
        and (most is None or number <= most)
        and (below is None or number < below)
    )
    if not fits:
        raise ValueError(f"{what} must be {_wanted(least, above, most, below)}, not {number!r}")
    return number


def _wanted(least: float | None, above: float | None, most: float | None, below: float | None) -> str:
    start = "" if least is None else f" from {least:g}"
    start += "" if above is None else f" above {above:g}"
    end = "" if most is None else f" to {most:g}" if above is None else f" and up to {most:g}"
    end += "" if below is None else f" and below {below:g}"
    return f"a number{start}{end}" if start or end else "a finite number"
