"""Language models that nobody has met: with prices, names and descriptions of their own.

RouterBench has eleven, and who learns from these alone learns them by heart. Here a known model's results stand under
another price, or under another name, too, with a description that is true of them: what is left to go by is what the
text says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PRICE = re.compile(r"\$(\d+(?:\.\d+)?)(?: in, \$(\d+(?:\.\d+)?) out)? per M tokens")
"""As RouterBench's models tell it."""
CHEAPEST, DEAREST = 0.02, 60.0
"""Dollars a million tokens, of writing where that costs more: what invented prices keep to."""
ONE_PRICE = (
    "${0} per M tokens",
    "${0} per 1M tokens",
    "${0} per million tokens",
    "${0}/1M tokens",
    "{0} USD per million tokens",
)
TWO_PRICES = (
    "${0} in, ${1} out per M tokens",
    "${0} input, ${1} output per 1M tokens",
    "${0} per million input tokens and ${1} per million output tokens",
    "${0}/1M in, ${1}/1M out",
    "{0} USD in and {1} USD out per million tokens",
)
STANDINGS: tuple[tuple[float, tuple[str, ...], tuple[int, ...]], ...] = (
    (
        0.8,
        (
            "the most capable model of its family, for hard reasoning",
            "flagship model with the strongest reasoning",
            "a frontier model with top scores in mathematics, code and knowledge",
        ),
        (70, 123, 235, 405),
    ),
    (
        0.7,
        (
            "a strong general model",
            "a capable general-purpose model with good reasoning",
            "a large model for demanding tasks",
            "a mixture of experts, strong for its size",
        ),
        (27, 32, 34, 56, 70, 72),
    ),
    (
        0.6,
        (
            "a general chat model",
            "a fast model for everyday questions",
            "a mid-size model for chat and writing",
        ),
        (9, 12, 13, 14, 22, 34),
    ),
    (
        0.0,
        (
            "a small and light model",
            "an older chat model",
            "a compact model for simple tasks",
            "an entry-level model for short answers",
        ),
        (1, 2, 3, 4, 7, 8),
    ),
)
"""From the share of queries that a model answers: words that are true of it, and billions of parameters that it may
have."""
FOR_CODE = (", made for code", ", best at programming", ", tuned on code")
ASIDES = (
    "Multilingual.",
    "Open weights.",
    "Reads up to 32k tokens.",
    "Context of 128k tokens.",
    "Follows instructions and calls tools.",
    "Released in 2024.",
    "Licensed under Apache 2.0.",
    "It was trained on 15 trillion tokens of text in 29 languages.",
    "Its instruction tuning covers conversation, summaries, extraction and rewriting.",
    "It supports structured output, function calling and streaming, and is served from several regions.",
    "A good choice for production workloads with many requests.",
    "It offers an attractive balance of quality and cost for teams of any size.",
    "Great value for its capabilities.",
    "Premium quality for professional users.",
    "The architecture is a decoder of 48 layers with grouped-query attention and a context window of 8,192 tokens.",
    "Developers use it in assistants, search and document processing.",
)
"""Said of any model, whatever it is and costs; some hold numbers that are no prices, some praise a price."""
MOST_ASIDES = 3
LEADS = ("", "", "It costs ", "Price: ", "This model is priced at ", "Available at ", "Its price is ")
"""Before a price."""
KINDS = ("", " Chat", " Instruct", "-it")
OPENINGS = (
    "{name}: {told}.",
    "{name} is {told}.",
    "{name}: {name} is {told}, an update of an earlier release.",
)
SYLLABLES = tuple(
    part.split()
    for part in (
        "al be cor da el fa gre hel jun ka lu mer no or pa quo ri so",
        "ba da ga li ma na ra ri so ta ve vo xi zo",
        "don la lon mind nix ra ris ro ta thos va x",
    )
)


class Invented(NamedTuple):
    """Texts of some models, and how many times as much as before each of them costs."""

    texts: list[str]
    factors: np.ndarray


def invent(
    texts: Sequence[str], shares: Sequence[float], rng: np.random.Generator, *, renamed: bool
) -> Invented:
    """Other prices for the models `texts`, which answer `shares` of the queries; `renamed`: other words, too.

    A list's prices are all alike or far apart, and have nothing to do with who is good. A text without a price keeps
    its own words and its cost.
    """
    centre, spread = np.exp(rng.uniform(np.log(0.1), np.log(8))), rng.uniform(0.2, 1.6)
    made, factors = [], np.ones(len(texts))
    for place, (text, share) in enumerate(zip(texts, shares, strict=True)):
        found = PRICE.search(text)
        if found is None:
            made.append(text)
            continue
        before = [float(price) for price in found.groups() if price]
        wanted = np.clip(centre * np.exp(spread * rng.standard_normal()), CHEAPEST, DEAREST)
        after = [_rounded(price * wanted / max(before)) for price in before]
        factors[place] = max(after) / max(before)
        words = _words(text, share, rng) if renamed else text[: found.start()].strip()
        said = rng.permutation(ASIDES)[: int(rng.integers(MOST_ASIDES + 1))].tolist() if renamed else []
        before_price = int(rng.integers(len(said) + 1))
        told = _price(after, rng) + ("." if said else "")
        made.append(" ".join([words, *said[:before_price], told, *said[before_price:]]))
    return Invented(made, factors)


def _words(text: str, share: float, rng: np.random.Generator) -> str:
    """A name of its own and what is true of a model that answers `share` of the queries."""
    words, sizes = next((words, sizes) for least, words, sizes in STANDINGS if share >= least)
    name = "".join(str(rng.choice(part)) for part in SYLLABLES).capitalize()
    if rng.random() < 0.5:
        name += f"-{rng.integers(1, 5)}" + (f".{rng.integers(1, 9)}" if rng.random() < 0.5 else "")
    if rng.random() < 0.6:
        name += f" {rng.choice(sizes)}B"
    name += str(rng.choice(KINDS))
    told = str(rng.choice(words)) + (str(rng.choice(FOR_CODE)) if "code" in text.lower() else "")
    return str(rng.choice(OPENINGS)).format(name=name, told=told)


def _price(prices: Sequence[float], rng: np.random.Generator) -> str:
    """The price of reading and of writing, or the one of both, in one of the ways that it is told."""
    forms = ONE_PRICE if len(prices) == 1 and rng.random() < 0.5 else TWO_PRICES
    cents = rng.random() < 0.5
    told = [f"{price:.2f}" if cents and price >= 0.1 else f"{price:g}" for price in (prices[0], prices[-1])]
    return str(rng.choice(LEADS)) + str(rng.choice(forms)).format(*told)


def _rounded(price: float) -> float:
    """To two digits, as prices are told."""
    return float(f"{price:.2g}")
