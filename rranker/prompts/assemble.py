"""A request's words to segments that fit: the one place where text is shortened, and says so."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal, Protocol

from rranker.item_factors import ItemFactors

from .encoding import TextEncoder
from .identifiers import Identifiers
from .segments import POINTWISE, Kind, PromptPart, Query, Segments
from .template import Template
from .too_many import TooManyError
from .truncation import Truncate, fair_share, truncate_part


class PromptFormat(Protocol):
    """A prompt's language. See `compact.CompactFormat`, `text.TextFormat` and, for one candidate alone, `pointwise`."""

    uses_identifiers: bool

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        """What stands before the candidates: instruction and query."""

    def candidates(self, texts: list[str], identifiers: list[int]) -> list[PromptPart]:
        """One part a text, under its identifier."""

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """Token ids of the question for one kind of answer."""

    def targets(self, template: Template, query: Query) -> PromptPart:
        """See `Segments.targets`; empty for questions about a list."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens there is room for: `context` bounds positions, `candidate` each candidate. None sets no bound.

    In block attention, and where a question shows one candidate alone, candidates stand side by side, so the longest
    one counts; in causal attention their sum. Where positions `restart` (an encoder's), every text has the whole
    context to itself. Of a candidate among several, at least `least` tokens of its text should be shown.
    """

    attention: Literal["causal", "block"]
    context: int | None
    candidate: int | None
    restart: bool = False
    least: int = 1


@dataclass(frozen=True, slots=True)
class Truncation:
    """What was shortened: the candidate of that input index, or the query (None); tokens before and after.

    `counted`: whether all of it was; of a text so long that it was not tokenised whole (`long_texts`), there were at
    least so many `before`.
    """

    index: int | None
    before: int
    after: int
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Assembler:
    """Words of one format to segments within limits. `truncate`: what becomes of text that does not fit."""

    prompt_format: PromptFormat
    identifiers: Identifiers
    limits: Limits
    truncate: Truncate

    def assemble(
        self,
        template: Template,
        instruction: str | None,
        query: Query,
        kind: Kind,
        texts: list[str],
        indices: list[int],
    ) -> tuple[Segments, list[Truncation]]:
        """Segments of one query, its candidates in the order of `texts`; `indices` are their places in the input.

        A history gives way from its oldest end and takes half of the context at most; a query that is one text is cut
        only by encoders, which read a few hundred tokens of any text; an instruction and the question never are.
        Raises ValueError when they do not fit, when a cut would be needed under `truncate="error"`, or when the
        vocabulary has too few single-token identifiers.
        """
        prompt_format, limits, truncate = self.prompt_format, self.limits, self.truncate
        named_by = self.identifiers.first(len(texts)) if prompt_format.uses_identifiers else ()
        read_texts, read_query = texts, query
        if truncate != "error":  # whose message counts the tokens
            read_texts, read_query = _without_middles(self.identifiers.encoder, texts, query, limits)
        prefix, suffix = (
            prompt_format.prefix(template, instruction, read_query),
            prompt_format.suffix(template, kind),
        )
        targets = prompt_format.targets(template, read_query)
        if kind in POINTWISE:
            limits = replace(limits, attention="block")
        pieces = prompt_format.candidates(read_texts, list(named_by))
        cuts: list[Truncation] = []
        whole = read_query == query
        prefix, targets = (_fitted(part, limits, truncate, cuts, whole) for part in (prefix, targets))
        # Where the query is what is asked for, all that stands before it is the question.
        asked = (len(targets), len(prefix) + len(suffix)) if targets.body else (len(prefix), len(suffix))
        room = _room(limits, *asked, pieces, indices, truncate)
        for place, piece in enumerate(pieces):
            if len(piece) > room:
                pieces[place] = truncate_part(piece, room, truncate, f"candidate {indices[place]}")
                counted = read_texts[place] == texts[place]
                cuts.append(Truncation(indices[place], len(piece), len(pieces[place]), counted=counted))
        shown = tuple(piece.ids for piece in pieces)
        return Segments(prefix.ids, shown, suffix, named_by, targets.ids, search=template.search), cuts


def with_prior(
    segments: Segments, factors: ItemFactors | None, query: Query, texts: Sequence[str]
) -> Segments:
    """The segments of a history with what `factors` say of their candidates, whose whole `texts` are given."""
    if factors is None or isinstance(query, str):
        return segments
    prior = factors.prior(query, texts)
    return replace(segments, prior=tuple(prior.tolist())) if prior.any() else segments


def _without_middles(
    encoder: TextEncoder, texts: list[str], query: Query, limits: Limits
) -> tuple[list[str], Query]:
    """Texts and query without the middles that are cut away whatever the prompt: tokenising takes a second a megabyte.

    A query that is one text only where positions restart: elsewhere it is never cut.
    """
    bounds = [bound for bound in (limits.context, limits.candidate) if bound is not None]
    if bounds:
        texts = [encoder.long_texts.shortened(text, min(bounds)) for text in texts]
    if limits.context is None:
        return texts, query
    if not isinstance(query, str):
        return texts, [encoder.long_texts.shortened(title, limits.context) for title in query]
    return texts, encoder.long_texts.shortened(query, limits.context) if limits.restart else query


def _fitted(
    part: PromptPart, limits: Limits, truncate: Truncate, cuts: list[Truncation], whole: bool
) -> PromptPart:
    """A part that holds a history, in half of the context; what was cut is added to `cuts`. Others as they are.

    Where positions restart, any part, in all of it. `whole`: whether all of the query was tokenised.
    """
    if limits.context is None or not (part.keep_end or limits.restart):
        return part
    what = "history" if part.keep_end else "query"
    most, share = (limits.context, "") if limits.restart else (limits.context // 2, "half of ")
    around = len(part) - len(part.body)
    if len(part) > most <= around:
        raise ValueError(
            f"a {what} may take {share}the {limits.context} tokens that the model reads, and the instruction "
            f"and headings around it alone take {around}: shorten the instruction"
        )
    fitted = truncate_part(part, most, truncate, f"the {what}")
    if len(fitted) < len(part):
        cuts.append(Truncation(None, len(part), len(fitted), counted=whole))
    return fitted


def _room(
    limits: Limits,
    query: int,
    question: int,
    pieces: list[PromptPart],
    indices: list[int],
    truncate: Truncate,
) -> int:
    """The longest a candidate may be. Raises ValueError when the context holds no word of each, or not all uncut."""
    lengths = [len(piece) for piece in pieces]
    own = room = limits.candidate if limits.candidate is not None else max(lengths)
    if limits.context is None:
        return room
    if limits.restart:
        return min(room, limits.context)
    left = limits.context - query - question
    taken = (
        f"the query takes {query} tokens and the question {question}, where the model reads {limits.context}"
    )
    if left < 1:
        raise ValueError(f"{taken}: shorten the query (it is never cut for you)")
    lengths = [min(length, own) for length in lengths]
    room = min(own, left if limits.attention == "block" else fair_share(lengths, left))
    frame = max(len(piece.head) + len(piece.tail) for piece in pieces)
    least = min(frame + 1, max(lengths))
    enough = min(frame + limits.least, max(lengths))
    if limits.attention == "causal" and room < enough and left // enough > 1:
        least = enough
    if room < least:
        most = 0 if left < least else 1 if limits.attention == "block" else left // least
        kept = "one token" if least <= frame + 1 else f"{least - frame} tokens"
        raise TooManyError(
            f"{_so_many(pieces)} not fit in the context: {taken}, and a candidate takes {least} even when "
            f"its text is cut to {kept}: "
            + (f"rank {most} at once at most, or " if most else "")
            + "shorten the query, or use a model that reads more",
            most,
        )
    if truncate == "error" and limits.attention == "causal" and sum(lengths) > left:
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        raise TooManyError(
            f"{_so_many(pieces)} not fit in the context: {taken}, which leaves {left} where they take "
            f"{sum(lengths)} together, the most candidate {indices[longest]} with {lengths[longest]}: rank fewer at "
            "once, shorten them, or pass truncate='end' or 'middle'",
            bisect_right(list(accumulate(sorted(lengths, reverse=True))), left),
        )
    return room


def _so_many(pieces: list[PromptPart]) -> str:
    return "the candidate does" if len(pieces) == 1 else f"the {len(pieces)} candidates do"
