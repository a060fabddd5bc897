"""Queries that also train in nearly the same words: a test row that has a twin in training is half known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from .lexical import words


def near_twins(known: Iterable[str], asked: Sequence[str], least: float = 0.8) -> list[bool]:
    """For each text of `asked`, whether one of `known` shares most of its words.

    That is a Jaccard similarity of their sets of words of at least `least`. Winogrande's sentences come in pairs that
    differ by a word or two: its public split parts many of them.
    """
    bags = [frozenset(words(text)) for text in known]
    holders = defaultdict[str, list[int]](list)
    for place, bag in enumerate(bags):
        for word in bag:
            holders[word].append(place)
    result = []
    for text in asked:
        bag = frozenset(words(text))
        shared = Counter(place for word in bag for place in holders.get(word, ()))
        result.append(any(n >= least * (len(bag) + len(bags[place]) - n) for place, n in shared.items()))
    return result
