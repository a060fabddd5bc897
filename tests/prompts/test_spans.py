"""Long texts in parts: all of the text, in order, none too long, cut where a sentence or a word ends."""

from __future__ import annotations

import random

import pytest

from rranker.prompts.spans import spans, word_starts


def test_parts_are_the_whole_text_and_none_is_too_long() -> None:
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(rng.choices(["a", "bc ", "Do.", ". ", "\n", " ", "é"], k=rng.randint(0, 200)))
        starts, most = word_starts(text), rng.randint(1, 9)
        parts = spans(text, starts, most)
        assert "".join(text[begin:end] for begin, end in parts) == text
        assert all(sum(begin <= start < end for start in starts) <= most for begin, end in parts)
        assert all(begin < end for begin, end in parts) or text == ""
        assert len(parts) == 1 or len(starts) > most


def test_parts_end_with_sentences_else_words_else_anywhere() -> None:
    text = "One two three. Four five six seven eight nine"
    assert [text[a:b] for a, b in spans(text, word_starts(text), 5)] == [
        "One two three.",
        " Four five six seven eight ",
        "nine",
    ]
    assert spans("abcdef", range(6), 4) == [(0, 4), (4, 6)]
    with pytest.raises(ValueError, match="at least one token, not 0"):
        spans("a", [0], 0)
