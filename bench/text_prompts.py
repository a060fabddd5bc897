"""Ranking problems in plain English that need no data folder: which entry of the glossary explains a word?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rranker.prompts import TEMPLATES, Kind, Segments
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.pointwise import LikelihoodFormat
from rranker.prompts.text import TextFormat

GLOSSARY = Path(__file__).parents[1] / "docs" / "glossary.md"
Problem = tuple[str, list[str]]  # query, candidates


def segments(words: TextFormat, kind: Kind, queries: int, n: int) -> list[Segments]:
    """The problems as prompts in `words`, for one kind of question."""
    template, identifiers = TEMPLATES["passage"], Identifiers(words.encoder).first(n)
    return [
        Segments(
            words.prefix(template, None, query).ids,
            tuple(part.ids for part in words.candidates(texts, list(identifiers))),
            words.suffix(template, kind),
            identifiers,
        )
        for query, texts in problems(queries, n)
    ]


def alone(encoder: TextEncoder, queries: int, n: int) -> list[Segments]:
    """The same problems, asked about each candidate alone: how probable does it make the query?"""
    template, words = TEMPLATES["passage"], LikelihoodFormat(encoder)
    return [
        Segments(
            words.prefix(template, None, query).ids,
            tuple(part.ids for part in words.candidates(texts, [])),
            words.suffix(template, "likelihood"),
            targets=words.targets(template, query).ids,
        )
        for query, texts in problems(queries, n)
    ]


def whole(prompt: Segments, shown: Iterable[int]) -> list[int]:
    """The tokens of one question's whole prompt, about the candidates that are `shown`."""
    return [*prompt.prefix, *(i for place in shown for i in prompt.candidates[place]), *prompt.suffix]


def problems(queries: int, n: int, seed: int = 0) -> list[Problem]:
    """`queries` questions with `n` entries each, the right one among them."""
    text = re.sub(r"\s+", " ", re.sub(r"\(?\[[^\]]*\]\([^)]*\)\)?", "", GLOSSARY.read_text(encoding="utf-8")))
    entries = re.findall(r"- \*\*([^*]+)\*\*(.*?)(?= - \*\*| ## |$)", text)
    rng, made = np.random.default_rng(seed), list[Problem]()
    for right in rng.choice(len(entries), queries, replace=False):
        others = [int(place) for place in rng.permutation(len(entries)) if place != right][: n - 1]
        places = rng.permutation([right, *others])
        candidates = [f"It is{entries[place][1].replace(':', ' this:', 1)}".strip() for place in places]
        made.append((f"what does {entries[right][0]!r} mean?", candidates))
    return made
