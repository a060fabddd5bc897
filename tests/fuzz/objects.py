"""Random objects of the kinds that users hand in: plain values, containers, arrays, tables."""

from __future__ import annotations

import uuid
from collections import deque
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from hypothesis import strategies as st

ODD_TEXTS = ("", " \n", "\ud800", "\x00\x1b[2J", "<|im_end|></s>", "[1] > [2]", "النحل", "🐝", "long")


def _lengthen(text: str) -> str:
    # Not in the list itself: it would stand in the repr of every strategy.
    return "word " * 2000 if text == "long" else text


short_text = st.text(max_size=12) | st.sampled_from(ODD_TEXTS).map(_lengthen)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    short_text,
    st.binary(max_size=6),
    st.uuids(),
    st.datetimes(),
    st.sampled_from(
        [
            np.int64(3),
            np.uint8(0),
            np.float32("nan"),
            np.float64(2),
            np.bool_(True),
            np.str_("x"),
            np.datetime64("NaT"),
            pd.NA,
            pd.NaT,
            pd.Timestamp(0),
            Decimal("1.5"),
            1j,
            2**70,
            uuid.UUID(int=0),
            object(),
            int,
            len,
            range(2),
        ]
    ),
)

hashable = st.none() | st.booleans() | st.integers() | st.floats() | short_text | st.uuids()


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    return (
        lists
        | lists.map(tuple)
        | lists.map(deque)
        | st.sets(hashable, max_size=4)
        | st.dictionaries(short_text | hashable, inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4).map(lambda d: d.values())
    )


def _array(values: list[float]) -> st.SearchStrategy[Any]:
    array = np.array(values)
    return st.sampled_from(
        [array, array.reshape(1, -1), array.astype("U8"), array.astype(object), torch.tensor(values)]
    )


arrays = st.lists(st.floats(width=32), max_size=4).flatmap(_array)
anything = st.recursive(scalars | arrays, _containers, max_leaves=8)


def _frames(columns: dict[str, list[Any]]) -> st.SearchStrategy[Any]:
    return st.sampled_from([pd.DataFrame, pl.DataFrame, pa.table]).map(lambda make: make(columns))


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """A pandas, polars or Arrow table of up to four rows; most have a column `text`."""
    rows = draw(st.integers(0, 4))
    kinds = {
        "text": short_text.filter(lambda text: "\ud800" not in text),  # Arrow and polars hold UTF-8 alone
        "id": st.integers(0, 9),
        "docno": st.floats() | st.none(),
        "year": st.floats(0, 9),
        "qid": st.integers(0, 9),
    }
    names = draw(st.lists(st.sampled_from(sorted(kinds)), unique=True, max_size=4))
    if draw(st.integers(0, 4)) and "text" not in names:
        names.append("text")
    return draw(_frames({name: draw(st.lists(kinds[name], min_size=rows, max_size=rows)) for name in names}))
