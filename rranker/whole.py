"""Whole numbers that callers pass: one rule for counts, cutoffs and levels."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole_number(value: Any, what: str, *, least: int | None = None) -> int:
    """`value` (Python's or NumPy's) as an int; `what` names it in errors, as in "top_k".

    Raises TypeError for anything that is no whole number (booleans and floats among them), ValueError when it is
    below `least`.
    """
    try:
        if isinstance(value, bool):
            raise TypeError("a bool counts nothing")
        number = operator.index(value)
    except TypeError as error:
        shown = repr(value) if isinstance(value, str | float | bool) else type(value).__name__
        raise TypeError(f"{what} must be a whole number, not {shown}") from error
    if least is not None and number < least:
        raise ValueError(f"{what} must be at least {least}, not {number}")
    return number


def whole_numbers(values: ArrayLike, what: str) -> NDArray[np.int64]:
    """`values` as an array of int64, of any shape; `what` names them in errors. Raises TypeError for other types."""
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{what} must hold integers, not {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.int64)
