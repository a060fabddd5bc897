"""The one rule for numbers that callers pass and that need not be whole."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from rranker import permutations
from rranker.real import real_number


@pytest.mark.parametrize("value", [1, 1.0, Fraction(1), np.float32(1), np.int8(1)])
def test_a_number_of_any_kind_is_a_float(value: object) -> None:
    number = real_number(value, "it")
    assert (number, type(number)) == (1.0, float)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.5", "'0.5'"),
        (True, "True"),
        (None, "NoneType"),
        (Decimal("0.5"), "Decimal"),
        (np.zeros(2), "ndarray"),
    ],
)
def test_what_is_no_number_is_named(value: object, shown: str) -> None:
    with pytest.raises(TypeError, match=f"p must be a number from 0 to 1, not {shown}"):
        real_number(value, "p", least=0, most=1)


@pytest.mark.parametrize(
    ("bounds", "within", "beyond", "wanted"),
    [
        ({}, [-1e300], [math.nan, math.inf, 10**400], "a finite number"),
        ({"least": 0}, [0, 5], [-1e-9, math.inf], "a number from 0"),
        ({"above": 0}, [1e-9], [0, math.nan], "a number above 0"),
        ({"least": 0, "most": 1}, [0, 1], [1.5, -0.5, math.nan], "a number from 0 to 1"),
        ({"above": 0, "most": 0.5}, [0.5], [0, 0.6], "a number above 0 and up to 0.5"),
        ({"above": 0, "below": 1}, [0.5], [0, 1], "a number above 0 and below 1"),
    ],
)
def test_bounds_hold_and_are_named(bounds: Any, within: list[Any], beyond: list[Any], wanted: str) -> None:
    for value in within:
        assert real_number(value, "it", **bounds) == value
    for value in beyond:
        with pytest.raises(ValueError, match=f"it must be {wanted}, not "):
            real_number(value, "it", **bounds)


def test_the_persistence_of_an_overlap_is_named() -> None:
    with pytest.raises(TypeError, match="p must be a number above 0 and below 1, not 'a'"):
        permutations.rbo([0, 1], [1, 0], p="a")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="p must be a number above 0 and below 1, not 1"):
        permutations.rbo([0, 1], [1, 0], p=1)
