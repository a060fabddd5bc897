"""One rule for ids: what is kept, what is unified, what is refused and with which words."""

import subprocess
import sys
import warnings
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest

from rranker.ids import as_id, as_ids, id_text

SOME = UUID("12345678-1234-5678-1234-567812345678")


class Colour(str, Enum):  # noqa: UP042 (on purpose: its str() is "Colour.RED")
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected", "text"),
    [
        ("d7", "d7", "d7"),
        ("", "", ""),
        (" 7.0 ", " 7.0 ", " 7.0 "),
        (np.str_("d7"), "d7", "d7"),
        (Colour.RED, "red", "red"),
        (7, 7, "7"),
        (-3, -3, "-3"),
        (2**80, 2**80, str(2**80)),
        (np.int64(7), 7, "7"),
        (np.uint64(2**64 - 1), 2**64 - 1, str(2**64 - 1)),
        (np.int8(-1), -1, "-1"),
        (SOME, SOME, "12345678-1234-5678-1234-567812345678"),
    ],
)
def test_ids_are_kept(value, expected, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unified = as_id(value, "the id")
    assert unified == expected
    assert isinstance(unified, str | UUID) or type(unified) is int
    assert id_text(unified) == text


@pytest.mark.parametrize("value", [7.0, np.float64(7), np.float32(7), np.float16(7), Fraction(7)])
def test_whole_floats_become_integers_with_a_warning(value):
    with pytest.warns(UserWarning, match="whole floats"):
        unified = as_id(value, "the id")
    assert type(unified) is int
    assert unified == 7


def test_negative_zero_is_zero():
    with pytest.warns(UserWarning, match="whole floats"):
        assert id_text(as_id(-0.0, "the id")) == "0"


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (True, TypeError, "the id must be a string, an integer or a UUID, not bool"),
        (np.True_, TypeError, "not bool"),
        (None, TypeError, "not NoneType: give every row an id"),
        (b"d7", TypeError, r"not bytes: pass value.decode\(\)"),
        (("a",), TypeError, r"not tuple: pass str\(value\)"),
        (1j, TypeError, "not complex"),
        (Decimal("7.5"), TypeError, "not Decimal"),
        (np.datetime64("2024-01-01"), TypeError, r"not datetime64: pass value.item\(\)"),
        (np.array(7), TypeError, r"not ndarray: pass value.item\(\)"),
        (float("nan"), ValueError, r"the id is missing \(NaN\)"),
        (np.float32("nan"), ValueError, "missing"),
        (float("inf"), ValueError, "is inf, which is not whole"),
        (7.5, ValueError, "is 7.5, which is not whole: pass a string or an integer"),
        (1e17, ValueError, "too large to tell neighbouring ids apart"),
    ],
)
def test_others_are_refused(value, error, message):
    with pytest.raises(error, match=message):
        as_id(value, "the id")


def test_many_ids_warn_once_and_errors_name_the_place():
    with pytest.warns(UserWarning, match="whole floats") as caught:
        assert as_ids([1.0, "a", np.float64(2), 3, SOME], "ids") == [1, "a", 2, 3, SOME]
    assert len(caught) == 1
    with pytest.raises(TypeError, match=r"documents\[2\] must be a string"):
        as_ids(["a", 1, None], "documents")
    assert as_ids(["a", None, 1], "ids", none=True) == ["a", None, 1]


def test_the_rule_loads_no_array_library():
    code = "import sys, rranker.ids; print(sorted({'numpy', 'torch', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
