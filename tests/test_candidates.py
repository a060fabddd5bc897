"""Candidates in containers of any kind: an order is kept, tables are read by their columns, the rest is refused."""

import enum
import uuid
from collections import deque

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rranker.candidates import ID_NAMES, as_candidates
from rranker.request import batch_requests, make_request
from rranker.types import Candidate

ROWS = [
    {"docno": "d1", "text": "bees", "year": 1986},
    {"docno": "d2", "text": "honey", "year": 1987},
]
WANTED = (Candidate("bees", "d1", {"year": 1986}), Candidate("honey", "d2", {"year": 1987}))
TABLES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow table": pa.Table.from_pylist,
    "arrow batch": pa.RecordBatch.from_pylist,
}


@pytest.mark.parametrize("make", [*TABLES.values(), list, tuple, iter, deque], ids=[*TABLES, *"ltid"])
def test_a_table_is_its_rows(make):
    assert as_candidates(make(ROWS)) == WANTED


def test_the_rows_of_a_frame_stand_as_they_stand_and_a_named_index_is_a_column():
    frame = pd.DataFrame(ROWS).set_index("docno").iloc[::-1]
    before = frame.copy()
    assert as_candidates(frame) == WANTED[::-1]
    pd.testing.assert_frame_equal(frame, before)
    labels = pd.DataFrame({"text": ["a", "b"]}, index=[7, 3])
    assert as_candidates(labels) == (Candidate("a"), Candidate("b"))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", "b"], index=[5, 1]),
        pd.Series(["a", "b"], dtype="category"),
        pd.Index(["a", "b"]),
        pl.Series(["a", "b"]),
        pa.array(["a", "b"]),
        pa.chunked_array([["a"], ["b"]]),
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        (letter for letter in "ab"),
        dict.fromkeys("ab").__iter__(),
    ],
    ids=lambda column: type(column).__name__,
)
def test_a_column_of_strings_is_a_list_of_them(column):
    made = as_candidates(column)
    assert made == (Candidate("a"), Candidate("b"))
    assert {type(candidate.text) for candidate in made} == {str}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_a_table_without_text_says_what_it_has(make):
    with pytest.raises(ValueError, match=r"has no column 'text'; it has 'title', 'id'; rename"):
        as_candidates(make([{"title": "a", "id": 1}]))


def test_tables_that_cannot_be_read_are_refused_by_name():
    with pytest.raises(ValueError, match=r"candidates: the DataFrame has no column 'text'; it has none"):
        as_candidates(pd.DataFrame())
    twice = pd.DataFrame([["a", "b", 1]], columns=["text", "text", "id"])
    with pytest.raises(ValueError, match="two columns called 'text'"):
        as_candidates(twice)
    with pytest.raises(TypeError, match=r"a LazyFrame of polars cannot be read as it is.*computed first"):
        as_candidates(pl.LazyFrame({"text": ["a"]}))
    for missing in (None, float("nan")):
        with pytest.raises(TypeError, match=r"text of candidates\[1\] must be a string, .*a missing value"):
            as_candidates(pd.DataFrame({"text": ["a", missing]}))
    assert as_candidates(pd.DataFrame({"text": []})) == ()


UNORDERED = [{"a", "b"}, frozenset("ab"), {"a": 1}.keys(), {"a": "b"}.values(), {"a": 1}.items()]


@pytest.mark.parametrize("container", UNORDERED, ids=lambda container: type(container).__name__)
def test_what_has_no_order_is_refused_at_every_door(container):
    said = f"not {type(container).__name__}: results name each member by its place"
    with pytest.raises(TypeError, match=f"candidates must be .*{said}.*put them in a list"):
        make_request("q", container)
    with pytest.raises(TypeError, match=f"query must be .*{said}"):
        make_request(container, ["a"])
    with pytest.raises(TypeError, match=f"queries must be .*{said}"):
        batch_requests(container, task=None, instruction=None, top_k=None)


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_a_history_is_a_column_and_no_table(make):
    with pytest.raises(TypeError, match=r"query must be .*, not a whole .*: pass one of its columns"):
        make_request(make([{"title": "Heat"}]), ["a"])
    assert make_request(pd.Series(["Heat", "Alien"]), ["a"]).query == ["Heat", "Alien"]
    assert make_request(pa.array(["Heat", "Alien"]), ["a"]).query == ["Heat", "Alien"]


def test_things_that_look_like_containers_are_refused():
    for thing in (np.array("a"), object(), list, lambda: ["a"], {"text": "a"}, bytearray(b"ab")):
        with pytest.raises(TypeError, match="candidates must be a list of strings, dicts or Candidates"):
            as_candidates(thing)


def test_an_error_of_the_callers_generator_stays_as_it_is():
    def broken():
        yield "a"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        as_candidates(broken())


class Word(str, enum.Enum):  # noqa: UP042 - unlike a StrEnum's, its str() is 'Word.BEE'
    BEE = "bee"


def test_subclasses_of_str_become_plain():
    (one, two) = as_candidates([Word.BEE, {"text": np.str_("x")}])
    assert (one.text, two.text) == ("bee", "x")
    assert type(one.text) is type(two.text) is str
    assert type(make_request(np.str_("q"), ["a"]).query) is str
    assert type(make_request([Word.BEE], ["a"]).query[0]) is str


UUID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("d1", "d1"),
        (0, 0),
        (-3, -3),
        (np.int64(7), 7),
        (np.uint8(7), 7),
        (UUID, UUID),
        (None, None),
        ("", ""),
    ],
)
def test_ids_are_kept(given, kept):
    for item in ({"text": "a", "id": given}, Candidate("a", given)):
        (made,) = as_candidates([item])
        assert made.id == kept
        assert type(made.id) is type(kept)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (True, TypeError),
        (np.bool_(True), TypeError),
        (b"d1", TypeError),
        (pd.Timestamp(0), TypeError),
        (["d1"], TypeError),
        (1.5, ValueError),
        (float("nan"), ValueError),
        (1e300, ValueError),
    ],
)
def test_what_is_no_id_is_refused_by_its_place(given, error):
    for item in ({"text": "a", "id": given}, Candidate("a", given)):
        with pytest.raises(error, match=r"the id of candidates\[1\]"):
            as_candidates(["b", item])


def test_ids_that_a_merge_made_floats_are_integers_again_and_gaps_are_none():
    left = pd.DataFrame({"text": ["a", "b", "c"], "key": [1, 2, 3]})
    merged = left.merge(pd.DataFrame({"key": [1, 3], "docid": [10, 30]}), how="left").drop(columns="key")
    assert merged["docid"].dtype == np.float64
    with pytest.warns(UserWarning, match="whole floats"):
        made = as_candidates(merged)
    assert [candidate.id for candidate in made] == [10, None, 30]
    assert type(made[0].id) is int
    nullable = merged.astype({"docid": "Int64"})
    assert [candidate.id for candidate in as_candidates(nullable)] == [10, None, 30]
    assert [candidate.id for candidate in as_candidates(pl.from_pandas(nullable))] == [10, None, 30]


@pytest.mark.parametrize("name", ID_NAMES)
def test_the_names_of_an_id(name):
    assert as_candidates([{"text": "a", name: "d", "url": "u"}]) == (Candidate("a", "d", {"url": "u"}),)


def test_the_first_name_that_has_a_value_is_the_id():
    (made,) = as_candidates([{"text": "a", "pid": 3, "docno": "d", "id": None}])
    assert (made.id, made.metadata) == ("d", {"pid": 3})
    assert as_candidates([{"text": "a", "id": None}]) == (Candidate("a"),)


def test_a_gap_in_a_column_is_called_one() -> None:
    with pytest.raises(TypeError, match=r"candidates\[1\] must be .* not float \(a missing value\)"):
        as_candidates(["a", float("nan")])
