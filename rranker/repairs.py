"""What was done to a request's texts so that they could be ranked, in words."""

from __future__ import annotations

from collections.abc import Sequence

from .prompts.assemble import Truncation
from .prompts.segments import Segments
from .request import Request
from .types import Repair


def cut_repairs(
    request: Request, cuts: Sequence[Truncation], groups: Sequence[tuple[int, ...]]
) -> list[Repair]:
    """What truncation did, in words; a text that several candidates share was cut for each of them."""
    asked = "the query" if isinstance(request.query, str) else "the history"
    group = {indices[0]: indices for indices in groups}
    repairs = []
    for cut in cuts:
        for index in [None] if cut.index is None else group[cut.index]:
            what = asked if index is None else f"candidate {index}"
            before = f"{cut.before}" if cut.counted else f"at least {cut.before}"
            repairs.append(Repair("truncated", f"{what} was cut from {before} to {cut.after} tokens", index))
    return repairs


def text_repairs(
    request: Request,
    segments: Segments,
    cuts: Sequence[Truncation],
    groups: Sequence[tuple[int, ...]],
    unknown: int | None,
) -> list[Repair]:
    """All that was done to the texts of a prompt: candidate i of the segments stands for the input's `groups[i]`."""
    return [
        *encoding_repairs(request),
        *unknown_repairs(segments, groups, unknown),
        *cut_repairs(request, cuts, groups),
    ]


def unknown_repairs(
    segments: Segments, groups: Sequence[tuple[int, ...]], unknown: int | None
) -> list[Repair]:
    """Texts of which half or more are words that the vocabulary lacks: the model reads the token `unknown` for them.

    Another script, as a rule. Tokens that open and close an encoder's text are not counted.
    """
    repairs = []
    texts: list[tuple[str, int | None, tuple[int, ...]]] = [("the query", None, segments.prefix)]
    for indices, ids in zip(groups, segments.candidates, strict=False):
        texts += [(f"candidate {index}", index, ids) for index in indices]
    for what, index, ids in texts:
        lacking = 0 if unknown is None else ids.count(unknown)
        if lacking and 2 * lacking >= len(ids) - 2:
            message = f"{what} has {lacking} words that this model's vocabulary lacks, of {len(ids)} tokens"
            repairs.append(Repair("unknown", message, index))
    return repairs


def encoding_repairs(request: Request) -> list[Repair]:
    """Texts that no encoding can hold (lone surrogates): the model reads a question mark in their place."""
    query = request.query if isinstance(request.query, str) else "\n".join(request.query)
    texts: list[tuple[int | None, str, str]] = [(None, "the query", query)]
    texts.append((None, "the instruction", request.instruction or ""))
    texts += [(index, f"candidate {index}", item.text) for index, item in enumerate(request.candidates)]
    repairs = []
    for index, what, text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            repairs.append(
                Repair("encoding", f"{what} has characters that are not valid Unicode; read as '?'", index)
            )
    return repairs
