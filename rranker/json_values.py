"""Any Python value in the forms that JSON has."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from numbers import Integral, Real
from typing import Any

_PLAIN = frozenset({int, str})
"""Most of what there is; the questions that all else is asked take many times as long."""


def json_value(value: Any, name: str = "the value") -> Any:
    """`value` as None, booleans, numbers, strings, lists and dicts with string keys: what `json.dumps` takes.

    `json.loads(json.dumps(json_value(x))) == json_value(x)` for every x, also under `allow_nan=False`:

    - NaN, infinities and the missing values of pandas (NaT, NA) become None: JSON has no word for them.
    - Arrays, tensors, columns, tuples and other sequences become lists; sets become lists, sorted.
    - Dates and times become ISO 8601 text, durations seconds, bytes UTF-8 text, enum members their values.
    - Dataclasses become dicts. Keys of dicts become strings as `json.dumps` spells them (1 is "1").
    - Anything else (UUIDs, decimals, fractions, paths, objects) becomes its `str()`.

    Raises ValueError, with `name`, for a value that contains itself.
    """
    try:
        return _convert(value)
    except RecursionError as error:
        raise ValueError(
            f"{name} contains itself, or is nested too deeply, and cannot become JSON"
        ) from error


def _convert(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in _PLAIN or isinstance(value, bool):
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return _convert(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if _is_numpy(value):
        return _from_numpy(value)
    if is_missing(value):
        return None
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    return _from_container(value)


def _from_container(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): _convert(member) for key, member in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _convert(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Set):
        return sorted((_convert(member) for member in value), key=json.dumps)
    if isinstance(value, Sequence):
        return [_convert(member) for member in value]
    if hasattr(value, "tolist") and not isinstance(value, type):  # tensors, pandas columns
        return _convert(value.tolist())
    return os.fsdecode(value) if isinstance(value, os.PathLike) else str(value)


def _key(key: Any) -> str:
    converted = _convert(key)
    return converted if isinstance(converted, str) else json.dumps(converted)


def is_missing(value: Any) -> bool:
    """Whether `value` stands for nothing in a table: None, NaN, or pandas' NaT and NA."""
    # pandas' two are known by name: NA has no truth value to test, and pandas need not be installed.
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return True
    return isinstance(value, Real) and bool(value != value)


def _is_numpy(value: Any) -> bool:
    # Only a process that has loaded NumPy can hold its values; importing rranker need not load it.
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray | numpy.generic)


def _from_numpy(value: Any) -> Any:
    import numpy as np

    if value.dtype.kind in "mM":  # nanoseconds would come out as bare integers
        value = value.astype(f"{value.dtype.kind}8[us]")
    if value.dtype == np.longdouble:  # it would come out as itself
        value = value.astype(np.float64)
    return _convert(value.tolist())
