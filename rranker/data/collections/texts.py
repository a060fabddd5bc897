"""Texts of the collections as one would read them: on one line, without a tokeniser's spaces, cut where too long."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}
_BRACKET = re.compile("|".join(_BRACKETS), re.IGNORECASE)
_OPENING = re.compile(r"(``|(?<!\S)[(\[{$#])\s+")
_CLOSING = re.compile(r"\s+(?=(?:''|[.,;:?!%)\]}]+)(?:\s|$|[.,;:?!)\]}'\"]))")
_CLITIC = re.compile(r"\s+(?=(?:'(?:s|re|ve|ll|d|m)|n't)(?!\w))", re.IGNORECASE)
_WORD = re.compile(r"\S+")


def one_line(text: object) -> str:
    """The text with every run of white space as one space. Raises TypeError for what is no text."""
    if not isinstance(text, str):
        raise TypeError(f"a text is needed, not {type(text).__name__}")
    return " ".join(text.split())


def detokenised(text: object) -> str:
    """A text in the Penn Treebank's tokens, lightly put back: brackets, quotes, spaces at punctuation, clitics.

    >>> print(detokenised("The `` Iron Lady '' -LRB- 1989 -RRB- did n't sell , they said ."))
    The "Iron Lady" (1989) didn't sell, they said.
    """
    plain = _BRACKET.sub(lambda found: _BRACKETS[found[0].lower()], one_line(text))
    plain = _OPENING.sub(r"\1", plain)
    plain = _CLITIC.sub("", _CLOSING.sub("", plain))
    return plain.replace("``", '"').replace("''", '"')


def passage_spans(text: str, words: int = 120) -> Iterator[tuple[int, int]]:
    """(start, end) of passages of about so many words that cover the text: they end with a sentence where one ends."""
    start, count, end = 0, 0, 0
    for word in _WORD.finditer(text):
        if count == 0:
            start = word.start()
        count, end = count + 1, word.end()
        if count >= words * 5 // 4 or (count >= words * 3 // 4 and word[0][-1] in ".?!"):
            yield start, end
            count = 0
    if count:
        yield start, end
