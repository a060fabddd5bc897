"""Whatever stands in metadata, `json.dumps` takes what `json_value` makes of it, and `json.loads` gives it back."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import uuid

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rranker.json_values import json_value

WHEN = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)


class Colour(enum.Enum):
    RED = np.int64(3)


class Level(enum.IntEnum):
    HIGH = 2


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    tags: tuple[str, ...]


Pair = collections.namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.int64(7), 7),
        (np.uint8(7), 7),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.bytes_(b"x"), "x"),
        (np.complex128(1), "(1+0j)"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([0.5, np.nan, np.inf], dtype=np.longdouble), [0.5, None, None]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.array(3.5), 3.5),
        (np.array([(1, "a")], dtype=[("n", int), ("s", "U1")]), [[1, "a"]]),
        (np.datetime64("2024-02-29T12:30", "ns"), "2024-02-29T12:30:00"),
        (np.array(["2024-02-29", "NaT"], dtype="M8[D]"), ["2024-02-29T00:00:00", None]),
        (np.timedelta64(1500, "ms"), 1.5),
        (np.timedelta64("NaT"), None),
        (torch.tensor([1.5, 2]), [1.5, 2.0]),
        (torch.tensor(3), 3),
        (pd.Timestamp("2024-02-29 12:30"), "2024-02-29T12:30:00"),
        (pd.Timedelta(seconds=90), 90.0),
        (pd.Series(["a", pd.NaT, pd.NA, 1]), ["a", None, None, 1]),
        (pd.Series(pd.to_datetime(["2024-02-29"]).tz_localize("UTC")), ["2024-02-29T00:00:00+00:00"]),
        (pd.NaT, None),
        (pd.NA, None),
        (WHEN, "2024-02-29T12:30:00+00:00"),
        (WHEN.date(), "2024-02-29"),
        (WHEN.time(), "12:30:00"),
        (datetime.timedelta(milliseconds=250), 0.25),
        (math.nan, None),
        (-math.inf, None),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (decimal.Decimal("1.10"), "1.10"),
        (fractions.Fraction(1, 3), "1/3"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (b"ok \xff", "ok \\xff"),
        (Colour.RED, 3),
        (Level.HIGH, 2),
        ({"b", "a"}, ["a", "b"]),
        ({1, "a", (2, 3)}, ["a", 1, [2, 3]]),
        (Pair(1, np.int8(2)), [1, 2]),
        (range(3), [0, 1, 2]),
        (collections.deque([1, math.nan]), [1, None]),
        (array.array("d", [0.5]), [0.5]),
        (Point(np.float32(1.5), ("a",)), {"x": 1.5, "tags": ["a"]}),
        (collections.OrderedDict(a={"b": [np.int64(1)]}), {"a": {"b": [1]}}),
        ({1: "a", None: "b", False: "c", 2.5: "d"}, {"1": "a", "null": "b", "false": "c", "2.5": "d"}),
        (1 + 2j, "(1+2j)"),
        (int, "<class 'int'>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_form_of_each_kind(value, wanted):
    made = json_value(value)
    assert made == wanted
    assert type(made) is type(wanted)
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_keys_of_any_kind_become_strings():
    made = json_value({np.int64(7): 1, uuid.UUID(int=0): 2, (1, WHEN.date()): 3})
    assert made == {"7": 1, str(uuid.UUID(int=0)): 2, '[1, "2024-02-29"]': 3}


def test_a_value_that_contains_itself_is_refused_by_name():
    loop: list[object] = []
    loop.append({"again": loop})
    with pytest.raises(ValueError, match="the note contains itself"):
        json_value(loop, "the note")


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.uuids()
    | st.decimals()
    | st.complex_numbers()
    | st.floats(width=32).map(np.float32)
    | st.integers(0, 255).map(np.uint8)
)
keys = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.uuids() | st.dates()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=12,
)


@given(values)
def test_everything_survives_a_round_trip(value):
    made = json_value(value)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert json_value(made) == made
