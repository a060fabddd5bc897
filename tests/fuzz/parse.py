"""`permutations.parse` and `parse_choice` on texts that resemble a model's, whole and broken."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from rranker.permutations import parse, parse_choice
from tests.fuzz.objects import anything, short_text
from tests.fuzz.runner import Target

PIECES = (
    *(
        "[1]",
        "[2]",
        "[3] > [1]",
        "[1-3]",
        "[1.0]",
        "[٢]",
        "[１０]",
        "1. ",
        "2)",
        "B",
        "(c)",
        "#4",
        "-1",
        "0",
        "99",
    ),
    *(" > ", " < ", ", ", "\n", "\r\n", "; ", " and ", "->", "=", "\t"),
    *("<think>", "</think>", "<answer>", "</answer>", "<THINK>", "```json\n", "```", "**", "$\\boxed{2}$"),
    *(
        '{"exclude": 2}',
        '{"id": 3, "score": 2}',
        '"rank": 1',
        '"ranking": [',
        "[",
        "]",
        "{",
        "}",
        '"',
        ":",
        "null",
    ),
    *("Passage ", "candidate ", "Least relevant: ", "is the worst", "not ", "score 1/10", "bees", "honey"),
    *("9" * 30, "[" * 50, "\x00", "\ufeff", "\u202e", "é", "二", "٣", "🐝"),
)
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30).map("".join)
answers = st.one_of(texts, texts.map(lambda text: text.encode("utf-8")), st.binary(max_size=60), short_text)
names = st.sampled_from(["bees", "honey", "bees and honey", "", "1", "[2]", "B", "é"]) | short_text


@st.composite
def proper(draw: st.DrawFn) -> tuple[Any, Any, dict[str, Any], bool]:
    """Arguments that must be understood."""
    n = draw(st.integers(0, 30))
    more: dict[str, Any] = {"base": draw(st.integers(0, 2))}
    if draw(st.booleans()):
        more["candidates"] = draw(st.lists(names, min_size=n, max_size=n))
    if draw(st.booleans()):
        more["fallback"] = draw(st.permutations(range(n)).map(np.array) if n else st.just(()))
    return draw(answers), n, more, True


improper = st.tuples(
    answers | anything,
    st.integers(-2, 9) | anything.filter(lambda n: not isinstance(n, int) or n < 1000),
    st.fixed_dictionaries(
        {}, optional={"base": anything, "candidates": st.lists(names) | anything, "fallback": anything}
    ),
    st.just(False),
)


def check(call: tuple[Any, Any, dict[str, Any], bool]) -> None:
    text, n, more, is_proper = call
    try:
        parsed = parse(text, n, **more)
        assert sorted(parsed.order) == list(range(n))
        assert 0 <= parsed.listed <= n
        assert all(repair.message for repair in parsed.repairs)
        more.pop("fallback", None)
        choice, _ = parse_choice(text, n, **more)
        assert choice is None or 0 <= choice < n
    except (TypeError, ValueError):
        if is_proper:
            raise


TARGET = Target("parse", proper() | improper, check, chunk=500)
