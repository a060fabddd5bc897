"""Segments that fit their limits: what is cut, what is reported, and what is refused."""

import re
from dataclasses import replace

import pytest

from rranker.prompts import TEMPLATES
from rranker.prompts.assemble import Assembler, Limits, Truncation
from rranker.prompts.compact import CompactFormat
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.text import TextFormat

PASSAGE = TEMPLATES["passage"]
FREE = Limits("causal", None, None)
LONG = " ".join(["fox"] * 50)


@pytest.fixture(params=["text", "compact"])
def prompt_format(request, encoders):
    if request.param == "text":
        return TextFormat(encoders["chatml"])
    return CompactFormat(encoders["bundled"])


def lay(prompt_format, query, texts, limits=FREE, truncate="end", indices=None):
    identifiers = Identifiers(prompt_format.encoder)
    places = list(range(len(texts))) if indices is None else indices
    return Assembler(prompt_format, identifiers, limits, truncate).assemble(
        PASSAGE, None, query, "exclude", texts, places
    )


def lengths(segments):
    return [len(candidate) for candidate in segments.candidates]


def test_without_limits_nothing_is_cut(prompt_format):
    segments, cuts = lay(prompt_format, "who?", ["one", LONG], truncate="error")
    assert cuts == []
    assert segments.prefix == prompt_format.prefix(PASSAGE, None, "who?").ids
    assert segments.suffix == prompt_format.suffix(PASSAGE, "exclude")
    assert len(segments.identifiers) == (2 if prompt_format.uses_identifiers else 0)
    assert all(
        identifier in c for identifier, c in zip(segments.identifiers, segments.candidates, strict=False)
    )


def test_a_candidates_own_limit(prompt_format):
    whole, _ = lay(prompt_format, "who?", ["one", LONG])
    segments, cuts = lay(prompt_format, "who?", ["one", LONG], Limits("causal", None, 20), indices=[5, 3])
    assert lengths(segments) == [lengths(whole)[0], 20]
    assert cuts == [Truncation(3, lengths(whole)[1], 20)]
    with pytest.raises(ValueError, match="candidate 1 takes"):
        lay(prompt_format, "who?", ["one", LONG], Limits("causal", None, 20), "error")


def test_causal_candidates_share_the_context(prompt_format):
    whole, _ = lay(prompt_format, "who?", ["one", LONG, LONG])
    frame = len(whole.prefix) + len(whole.suffix)
    segments, cuts = lay(prompt_format, "who?", ["one", LONG, LONG], Limits("causal", frame + 70, None))
    assert sum(lengths(segments)) in (69, 70)
    assert lengths(segments)[0] == lengths(whole)[0]
    assert lengths(segments)[1] == lengths(segments)[2]
    assert [c.index for c in cuts] == [1, 2]


def test_block_candidates_stand_side_by_side(prompt_format):
    whole, _ = lay(prompt_format, "who?", [LONG] * 9)
    frame = len(whole.prefix) + len(whole.suffix)
    fits, cuts = lay(
        prompt_format, "who?", [LONG] * 9, Limits("block", frame + lengths(whole)[0], None), "error"
    )
    assert (fits, cuts) == (whole, [])
    shorter, _ = lay(prompt_format, "who?", [LONG] * 9, Limits("block", frame + 30, None))
    assert lengths(shorter) == [30] * 9


def test_a_long_history_keeps_its_latest_titles(prompt_format):
    titles = [f"title {i}" for i in range(60)]
    segments, cuts = lay(prompt_format, titles, ["one"], Limits("causal", 160, None))
    assert len(segments.prefix) == 80
    assert [(c.index, c.after) for c in cuts] == [(None, 80)]
    said = prompt_format.encoder.decode(segments.prefix)
    assert "title 59" in said
    assert "title 0\n" not in said
    with pytest.raises(ValueError, match="the history takes"):
        lay(prompt_format, titles, ["one"], Limits("causal", 160, None), "error")


def test_a_query_is_never_cut(prompt_format):
    with pytest.raises(ValueError, match=r"the query takes \d+ tokens .*never cut for you"):
        lay(prompt_format, LONG * 3, ["one"], Limits("causal", 60, None))


def test_an_instruction_that_leaves_a_history_no_room_is_blamed(prompt_format):
    template = replace(PASSAGE, instruction=LONG * 3, brief=LONG * 3)
    identifiers = Identifiers(prompt_format.encoder)
    assembler = Assembler(prompt_format, identifiers, Limits("causal", 160, None), "end")
    with pytest.raises(ValueError, match=r"half of the 160 tokens .*: shorten the instruction"):
        assembler.assemble(template, None, ["a", "b"], "exclude", ["one"], [0])


def test_no_room_for_even_empty_candidates(prompt_format):
    whole, _ = lay(prompt_format, "who?", ["one"])
    for attention in ("causal", "block"):
        tight = Limits(attention, len(whole.prefix) + len(whole.suffix) + 1, None)
        with pytest.raises(
            ValueError, match=r"the candidate does not fit in the context.*: shorten the query, or use"
        ):
            lay(prompt_format, "who?", ["one"], tight)


def test_more_candidates_than_the_context_holds(prompt_format):
    """Nobody in particular is to blame: the message says how many fit, and so many do."""
    texts = ["the fox jumps"] * 60
    whole, _ = lay(prompt_format, "who?", texts[:1])
    frame = len(whole.prefix) + len(whole.suffix)
    tight = Limits("causal", frame + 100, None)
    for truncate in ("end", "middle", "error"):
        with pytest.raises(
            ValueError, match=r"the 60 candidates do not fit in the context: the query takes"
        ) as error:
            lay(prompt_format, "who?", texts, tight, truncate)
        assert "candidate 0" not in str(error.value)
    most = int(re.search(r"rank (\d+) at once at most", str(error.value))[1])
    segments, cuts = lay(prompt_format, "who?", texts[:most], tight)
    assert len(cuts) == most
    assert sum(lengths(segments)) <= 100
    with pytest.raises(ValueError, match=f"the {most + 1} candidates do not fit"):
        lay(prompt_format, "who?", texts[: most + 1], tight)
    assert lay(prompt_format, "who?", texts, Limits("block", frame + 100, None), "error")[1] == []


def test_without_cuts_the_sum_is_blamed_and_the_longest_named(prompt_format):
    whole, _ = lay(prompt_format, "who?", ["one", LONG, "two"])
    frame, total = len(whole.prefix) + len(whole.suffix), sum(lengths(whole))
    limits = Limits("causal", frame + total - 1, None)
    with pytest.raises(
        ValueError, match=rf"take {total} together, the most candidate 8 with {lengths(whole)[1]}: rank fewer"
    ):
        lay(prompt_format, "who?", ["one", LONG, "two"], limits, "error", [7, 8, 9])
    assert (
        lay(prompt_format, "who?", ["one", LONG, "two"], Limits("causal", frame + total, None), "error")[1]
        == []
    )


def test_a_candidates_own_limit_is_not_blamed_on_the_context(prompt_format):
    with pytest.raises(ValueError, match="candidate 4 has no room: its template alone takes"):
        lay(prompt_format, "who?", [LONG], Limits("causal", 400, 1), indices=[4])
