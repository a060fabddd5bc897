"""Fits pieces to token budgets: only user text is ever cut, never the instruction or the question."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from .segments import PromptPart

Truncate = Literal["error", "end", "middle"]


def truncate_part(piece: PromptPart, length: int, truncate: Truncate, what: str) -> PromptPart:
    """`piece` in at most `length` tokens. `end` drops the last (a history's first) tokens, `middle` the inner ones.

    Raises ValueError when it does not fit and `truncate="error"`, or when not even an empty body would fit.
    """
    room = length - len(piece.head) - len(piece.tail)
    if len(piece.body) <= room:
        return piece
    if truncate == "error":
        raise ValueError(
            f"{what} takes {len(piece)} tokens where {length} fit: shorten it, or pass truncate='end' or 'middle'"
        )
    if room < 0:
        raise ValueError(
            f"{what} has no room: its template alone takes {len(piece) - len(piece.body)} of {length} tokens"
        )
    if truncate == "middle":
        left = (room + 1) // 2
        body = piece.body[:left] + piece.body[len(piece.body) - (room - left) :]
    else:
        body = piece.body[len(piece.body) - room :] if piece.keep_end else piece.body[:room]
    return replace(piece, body=body)


def fair_share(lengths: list[int], total: int) -> int:
    """The largest cap `c` with `sum(min(length, c)) <= total`: long ones give way first. Zero when nothing fits."""
    remaining, cap = total, 0
    for done, length in enumerate(sorted(lengths)):
        cap = remaining // (len(lengths) - done)
        if length > cap:
            return max(cap, 0)
        remaining -= length
    return max(lengths, default=0)
