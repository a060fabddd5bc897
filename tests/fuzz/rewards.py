"""Rewards, returns and advantages on ragged batches, whole and broken."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from rranker import rewards
from tests.fuzz.objects import anything, short_text
from tests.fuzz.runner import Target

numbers = st.floats() | st.integers(-3, 4) | st.sampled_from([2**70, -(2**63), None, "1", True])
grades = st.integers(0, 3)


def _spoiled(values: list[Any]) -> st.SearchStrategy[Any]:
    """`values`, or what a mistake makes of them."""
    return st.one_of(
        st.just(values),
        st.just(np.array(values)),
        st.integers(0, max(0, len(values) - 1)).flatmap(
            lambda place: numbers.map(lambda odd: [*values[:place], odd, *values[place + 1 :]])
        ),
        st.lists(st.sampled_from([0, 1, 2, np.nan]), min_size=len(values), max_size=len(values)),
        st.just(values[:-1]),
        st.just([*values, 3]),
        st.just([values]),
        anything,
    )


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, tuple[Any, ...], dict[str, Any], bool]:
    """A function's name, its arguments, and whether they are whole."""
    lengths = draw(st.lists(st.integers(0, 24), max_size=4))
    offsets = [0, *np.cumsum(lengths, dtype=int).tolist()]
    relevance = draw(st.lists(grades, min_size=offsets[-1], max_size=offsets[-1]))
    counts = [draw(st.integers(0, length)) for length in lengths]
    ends = [0, *np.cumsum(counts, dtype=int).tolist()]
    named = [
        draw(st.integers(-1, max(0, n)))
        for n, count in zip(lengths, counts, strict=True)
        for _ in range(count)
    ]
    values = draw(st.lists(st.floats(-2, 2), min_size=ends[-1], max_size=ends[-1]))
    name = draw(
        st.sampled_from(["step_rewards", "graded_rewards", "listing_rewards", "returns", "group_advantages"])
    )
    if name == "returns":
        arguments: list[Any] = [values, ends]
    elif name == "group_advantages":
        arguments = [values, ends, [0, len(lengths)]]
    else:
        arguments = [relevance, offsets, named, ends]
    whole = draw(st.booleans())
    more: dict[str, Any] = {}
    if not whole:
        place = draw(st.integers(0, len(arguments) - 1))
        arguments[place] = draw(_spoiled(arguments[place]))
        if name in ("graded_rewards", "listing_rewards"):
            more = draw(st.fixed_dictionaries({}, optional={"k": st.integers(-1, 9) | anything}))
    return name, tuple(arguments), more, whole


formats = st.tuples(
    st.just("format_scores"),
    st.tuples(st.lists(short_text, max_size=3) | anything),
    st.just({}),
    st.just(False),
)


def _has_nan(values: Any) -> bool:
    try:
        return bool(np.isnan(np.asarray(values, dtype=np.float64)).any())
    except (TypeError, ValueError, OverflowError):
        return False


def check(call: tuple[str, tuple[Any, ...], dict[str, Any], bool]) -> None:
    name, arguments, more, whole = call
    try:
        found = getattr(rewards, name)(*arguments, **more)
    except (TypeError, ValueError):
        if whole:
            raise
        return
    assert found.dtype == np.float64
    assert not (name.endswith("_rewards") and _has_nan(arguments[0])), "NaN is no relevance"
    if whole:
        assert np.isfinite(found).all()
    if whole and name in ("step_rewards", "graded_rewards", "returns"):
        assert len(found) == len(arguments[0 if name == "returns" else 2])
    if whole and name == "graded_rewards":
        assert (found <= 1e-12).all()


TARGET = Target("rewards", batches() | formats, check, chunk=300)
