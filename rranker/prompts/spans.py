"""Long texts in parts that fit, cut where a sentence or at least a word ends."""

from __future__ import annotations

import re
from collections.abc import Sequence

Span = tuple[int, int]
"""First character and the one behind the last."""

_ENDS = (re.compile(r"\n|[.!?。！？]['\")\]]*(?=\s|$)"), re.compile(r"\s"))


def word_starts(text: str) -> list[int]:
    """Where the words of a text begin: what stands in for tokens where nobody knows them."""
    return [match.start() for match in re.finditer(r"\S+", text)]


def spans(text: str, starts: Sequence[int], most: int) -> list[Span]:
    """Parts of at most `most` tokens, end to end, that hold all of `text`; `starts`: where each token begins.

    A part ends behind the last sentence, or else the last blank, of its last half. At least one part, however short.
    Raises ValueError for a `most` of less than 1.
    """
    if most < 1:
        raise ValueError(f"a part must hold at least one token, not {most}")
    parts, begin, first = list[Span](), 0, 0
    while len(starts) - first > most:
        end = starts[first + most]
        earliest = starts[first + most // 2]
        for pattern in _ENDS:
            ends = [match.end() for match in pattern.finditer(text, max(earliest, begin + 1), end)]
            if ends:
                end = ends[-1]
                break
        end = max(end, begin + 1)
        parts.append((begin, end))
        begin = end
        while first < len(starts) and starts[first] < begin:
            first += 1
    return [*parts, (begin, len(text))] if begin < len(text) or not parts else parts
