"""Ids of queries, candidates and documents: one rule at every door of the library.

- A string is kept as it is.
- An integer (Python's or NumPy's, which becomes Python's) and a UUID are kept; evaluation and TREC files compare
  ids by their text, so 7 and "7" are the same document there.
- A whole float, which is what pandas makes of an integer column with gaps, becomes the integer, with a warning.
- Everything else (None, bool, NaN, fractions, bytes, dates, …) is refused: no text of it is sure to be the id.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from numbers import Integral, Real
from typing import Literal, overload
from uuid import UUID

Id = str | int | UUID

FLOAT_WARNING = (
    "ids that are whole floats (7.0) are read as integers (7); pandas makes such floats of integer columns with "
    'missing values: df["id"].astype("Int64") keeps them integers'
)
_EXACT = 2.0**53  # from here on a float no longer tells neighbouring integers apart


def as_id(value: object, what: str) -> Id:
    """`value` as an id under the rule above; `what` names it in errors, as in "the id of candidates[3]".

    Raises TypeError for a type that cannot be an id, ValueError for a float that is none (NaN, 7.5, 1e300).
    """
    unified = _unify(value, lambda: what)
    if _is_float(value):
        warnings.warn(FLOAT_WARNING, stacklevel=2)
    return unified


@overload
def as_ids(values: Iterable[object], what: str | Callable[[int], str]) -> list[Id]: ...
@overload
def as_ids(
    values: Iterable[object], what: str | Callable[[int], str], *, none: Literal[True]
) -> list[Id | None]: ...
def as_ids(
    values: Iterable[object], what: str | Callable[[int], str], *, none: bool = False
) -> list[Id] | list[Id | None]:
    """`as_id` of each, with one warning for all; `none=True` lets None through.

    `what` names them in errors: `what[place]`, or `what(place)` of a function.
    """
    named = what if callable(what) else (lambda place: f"{what}[{place}]")
    unified: list[Id | None] = []
    floats = False
    for place, value in enumerate(values):
        if type(value) is str or (value is None and none):
            unified.append(value)
            continue
        unified.append(_unify(value, partial(named, place)))
        floats = floats or _is_float(value)
    if floats:
        warnings.warn(FLOAT_WARNING, stacklevel=2)
    return unified


def id_text(value: Id) -> str:
    """The text by which ids compare in evaluation and stand in files: 7 is "7"."""
    return str.__str__(value) if isinstance(value, str) else str(value)


def _is_float(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, Integral)


def _unify(value: object, what: Callable[[], str]) -> Id:
    if isinstance(value, str | UUID):
        return value
    if isinstance(value, Integral) and not isinstance(value, bool):
        return operator.index(value)
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(
            f"{what()} must be a string, an integer or a UUID, not {type(value).__name__}{_advice(value)}"
        )
    number = float(value)
    if math.isnan(number):
        raise ValueError(f"{what()} is missing (NaN): give every row an id, or leave the row out")
    if not number.is_integer():
        raise ValueError(f"{what()} is {value!r}, which is not whole: pass a string or an integer")
    if abs(number) >= _EXACT:
        raise ValueError(
            f"{what()} is {value!r}, a float too large to tell neighbouring ids apart: pass the integer or a string"
        )
    return int(number)


def _advice(value: object) -> str:
    if value is None:
        return ": give every row an id, or leave the row out"
    if isinstance(value, bytes):
        return ": pass value.decode()"
    if getattr(value, "shape", None) == ():
        return ": pass value.item()"
    return ": pass str(value) if its text is the id"
