"""Only the user's words are cut, to exactly the length that fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rranker.prompts.segments import PromptPart, Segments
from rranker.prompts.truncation import fair_share, truncate_part

BODY = tuple(range(100, 110))


@pytest.mark.parametrize(
    ("truncate", "keep_end", "expected"),
    [
        ("end", False, (100, 101, 102, 103, 104)),
        ("end", True, (105, 106, 107, 108, 109)),
        ("middle", False, (100, 101, 102, 108, 109)),
        ("middle", True, (100, 101, 102, 108, 109)),
    ],
)
def test_what_is_kept(truncate, keep_end, expected):
    fitted = truncate_part(PromptPart((1, 2), BODY, (3,), keep_end), 8, truncate, "candidate 0")
    assert fitted == PromptPart((1, 2), expected, (3,), keep_end)


@given(
    st.integers(0, 4),
    st.integers(0, 12),
    st.integers(0, 4),
    st.integers(0, 25),
    st.sampled_from(["end", "middle"]),
    st.booleans(),
)
def test_a_cut_fits_exactly_and_keeps_the_frame(head, body, tail, length, truncate, keep_end):
    piece = PromptPart((1,) * head, BODY[:body] + BODY[: body - 10], (2,) * tail, keep_end)
    if length < head + tail and piece.body:
        with pytest.raises(ValueError, match="has no room: its template alone takes"):
            truncate_part(piece, length, truncate, "candidate 3")
    elif length >= head + tail:
        fitted = truncate_part(piece, length, truncate, "candidate 3")
        assert len(fitted) == min(length, len(piece))
        assert (fitted.head, fitted.tail) == (piece.head, piece.tail)


def test_an_error_says_what_to_do():
    with pytest.raises(
        ValueError, match=r"candidate 7 takes 13 tokens where 8 fit: shorten it, or pass truncate="
    ):
        truncate_part(PromptPart((1, 2), BODY, (3,)), 8, "error", "candidate 7")
    assert truncate_part(PromptPart((1, 2), BODY, (3,)), 13, "error", "candidate 7").body == BODY


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(0, 120))
def test_fair_share_is_the_largest_cap_that_fits(lengths, total):
    cap = fair_share(lengths, total)
    assert sum(min(length, cap) for length in lengths) <= total
    if cap < max(lengths):
        assert sum(min(length, cap + 1) for length in lengths) > total


def test_segments_refuse_what_no_prompt_can_be():
    assert Segments((1,), ((2,), (3,)), (4,), (8, 9)).identifiers == (8, 9)
    for arguments, message in (
        (((), ((2,),), (4,)), "at least one token"),
        (((1,), ((2,), ()), (4,)), "at least one token"),
        (((1,), ((2,), (3,)), (4,), (8,)), "1 identifiers for 2 candidates"),
        (((1,), ((2,), (3,)), (4,), (8, 8)), "share an identifier"),
    ):
        with pytest.raises(ValueError, match=message):
            Segments(*arguments)
