"""A request's words to segments that fit: the one place where text is shortened, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from .identifiers import Identifiers
from .segments import Kind, Piece, Query, Segments
from .template import Template
from .truncation import Truncate, cut, fair_share


class Dialect(Protocol):
    """A prompt's language. See `compact.CompactDialect` and `text.TextDialect`."""

    uses_labels: bool

    def prefix(self, template: Template, instruction: str | None, query: Query) -> Piece: ...
    def candidates(self, texts: list[str], labels: list[int]) -> list[Piece]: ...
    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens there is room for: `context` bounds positions, `candidate` each candidate. None sets no bound.

    In block attention candidates stand side by side, so the longest one counts; in causal attention their sum.
    """

    attention: Literal["causal", "block"]
    context: int | None
    candidate: int | None


@dataclass(frozen=True, slots=True)
class Cut:
    """What was shortened: the candidate of that input index, or the history (None); tokens before and after."""

    index: int | None
    before: int
    after: int


def assemble(
    dialect: Dialect,
    identifiers: Identifiers,
    template: Template,
    instruction: str | None,
    query: Query,
    texts: list[str],
    indices: list[int],
    kind: Kind,
    limits: Limits,
    truncate: Truncate,
) -> tuple[Segments, list[Cut]]:
    """Segments of one query, its candidates in the order of `texts`; `indices` are their places in the input.

    A history gives way from its oldest end and takes half of the context at most; a query that is one text, an
    instruction and the question are never cut. Raises ValueError when they do not fit, when a cut would be
    needed under `truncate="error"`, or when the vocabulary has too few single-token identifiers.
    """
    labels = identifiers.first(len(texts)) if dialect.uses_labels else ()
    prefix, suffix = dialect.prefix(template, instruction, query), dialect.suffix(template, kind)
    pieces = dialect.candidates(texts, list(labels))
    cuts: list[Cut] = []
    if limits.context is not None and prefix.keep_end:
        fitted = cut(prefix, limits.context // 2, truncate, "the history")
        if len(fitted) < len(prefix):
            cuts.append(Cut(None, len(prefix), len(fitted)))
        prefix = fitted
    room = _room(limits, len(prefix), len(suffix), [len(piece) for piece in pieces])
    for place, piece in enumerate(pieces):
        if len(piece) > room:
            pieces[place] = cut(piece, room, truncate, f"candidate {indices[place]}")
            cuts.append(Cut(indices[place], len(piece), len(pieces[place])))
    return Segments(prefix.ids, tuple(piece.ids for piece in pieces), suffix, labels), cuts


def _room(limits: Limits, prefix: int, suffix: int, lengths: list[int]) -> int:
    """The longest a candidate may be. Raises ValueError when query and question leave none."""
    room = limits.candidate if limits.candidate is not None else max(lengths)
    if limits.context is not None:
        left = limits.context - prefix - suffix
        if left < 1:
            raise ValueError(
                f"the query takes {prefix} tokens and the question {suffix}, where the model reads {limits.context}: "
                "shorten the query (it is never cut for you)"
            )
        room = min(room, left if limits.attention == "block" else fair_share(lengths, left))
    return room
