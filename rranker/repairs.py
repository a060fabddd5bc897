"""What was done to a request's texts so that they could be ranked, in words."""

from __future__ import annotations

from collections.abc import Sequence

from .prompts.assemble import Truncation
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
            repairs.append(
                Repair("truncated", f"{what} was cut from {cut.before} to {cut.after} tokens", index)
            )
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
