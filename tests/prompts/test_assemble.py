"""Segments that fit their limits: what is cut, what is reported, and what is refused."""

import pytest

from rranker.prompts import TEMPLATES
from rranker.prompts.assemble import Cut, Limits, assemble
from rranker.prompts.compact import CompactDialect
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.text import TextDialect

PASSAGE = TEMPLATES["passage"]
FREE = Limits("causal", None, None)
LONG = " ".join(["fox"] * 50)


@pytest.fixture(params=["text", "compact"])
def dialect(request, encoders):
    if request.param == "text":
        return TextDialect(encoders["chatml"])
    return CompactDialect(encoders["bundled"])


def lay(dialect, query, texts, limits=FREE, truncate="end", indices=None):
    identifiers = Identifiers(dialect.encoder)
    places = list(range(len(texts))) if indices is None else indices
    return assemble(dialect, identifiers, PASSAGE, None, query, texts, places, "exclude", limits, truncate)


def lengths(segments):
    return [len(candidate) for candidate in segments.candidates]


def test_without_limits_nothing_is_cut(dialect):
    segments, cuts = lay(dialect, "who?", ["one", LONG], truncate="error")
    assert cuts == []
    assert segments.prefix == dialect.prefix(PASSAGE, None, "who?").ids
    assert segments.suffix == dialect.suffix(PASSAGE, "exclude")
    assert len(segments.labels) == (2 if dialect.uses_labels else 0)
    assert all(label in c for label, c in zip(segments.labels, segments.candidates, strict=False))


def test_a_candidates_own_limit(dialect):
    whole, _ = lay(dialect, "who?", ["one", LONG])
    segments, cuts = lay(dialect, "who?", ["one", LONG], Limits("causal", None, 20), indices=[5, 3])
    assert lengths(segments) == [lengths(whole)[0], 20]
    assert cuts == [Cut(3, lengths(whole)[1], 20)]
    with pytest.raises(ValueError, match="candidate 1 takes"):
        lay(dialect, "who?", ["one", LONG], Limits("causal", None, 20), "error")


def test_causal_candidates_share_the_context(dialect):
    whole, _ = lay(dialect, "who?", ["one", LONG, LONG])
    frame = len(whole.prefix) + len(whole.suffix)
    segments, cuts = lay(dialect, "who?", ["one", LONG, LONG], Limits("causal", frame + 70, None))
    assert sum(lengths(segments)) in (69, 70)
    assert lengths(segments)[0] == lengths(whole)[0]
    assert lengths(segments)[1] == lengths(segments)[2]
    assert [c.index for c in cuts] == [1, 2]


def test_block_candidates_stand_side_by_side(dialect):
    whole, _ = lay(dialect, "who?", [LONG] * 9)
    frame = len(whole.prefix) + len(whole.suffix)
    fits, cuts = lay(dialect, "who?", [LONG] * 9, Limits("block", frame + lengths(whole)[0], None), "error")
    assert (fits, cuts) == (whole, [])
    shorter, _ = lay(dialect, "who?", [LONG] * 9, Limits("block", frame + 30, None))
    assert lengths(shorter) == [30] * 9


def test_a_long_history_keeps_its_latest_titles(dialect):
    titles = [f"title {i}" for i in range(60)]
    segments, cuts = lay(dialect, titles, ["one"], Limits("causal", 160, None))
    assert len(segments.prefix) == 80
    assert [(c.index, c.after) for c in cuts] == [(None, 80)]
    said = dialect.encoder.decode(segments.prefix)
    assert "title 59" in said
    assert "title 0\n" not in said
    with pytest.raises(ValueError, match="the history takes"):
        lay(dialect, titles, ["one"], Limits("causal", 160, None), "error")


def test_a_query_is_never_cut(dialect):
    with pytest.raises(ValueError, match=r"the query takes \d+ tokens .*never cut for you"):
        lay(dialect, LONG * 3, ["one"], Limits("causal", 60, None))


def test_no_room_for_even_empty_candidates(dialect):
    whole, _ = lay(dialect, "who?", ["one"])
    tight = Limits("causal", len(whole.prefix) + len(whole.suffix) + 1, None)
    with pytest.raises(ValueError, match="has no room: its template alone takes"):
        lay(dialect, "who?", ["one"], tight)
