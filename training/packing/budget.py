"""What of the lists that were drawn finds room in one batch: real tokens, and the rows that attention pads them to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rranker.engine.loading.settings import AttentionMode
from rranker.prompts import Segments

PADDING = 8
"""Padded rows, a token of the budget. One long candidate beside a list of many would make hundreds; the public sources'
own lists take up to 6 (histories of music, whose titles are short and long), and so are never parted by this."""


def lists_that_fit(segments: Sequence[Segments], budget: int, copies: int, attention: AttentionMode) -> int:
    """How many of the first lists fit `budget` tokens together, padded `PADDING` times as many; one at least."""
    tokens = prefix = many = long = whole = 0
    for count, s in enumerate(segments):
        lengths = [len(candidate) for candidate in s.candidates]
        own = len(s.prefix) + sum(lengths)
        tokens += own + copies
        prefix, many = max(prefix, len(s.prefix)), max(many, len(lengths))
        long, whole = max(long, *lengths), max(whole, own)
        each = prefix + many * long if attention == "block" else whole
        if count and (tokens > budget or (count + 1) * (each + copies) > PADDING * budget):
            return count
    return len(segments)


def candidates_that_fit(
    relevance: Sequence[float],
    lengths: Sequence[int],
    around: int,
    budget: int,
    rng: np.random.Generator,
    *,
    padded: bool,
) -> list[int]:
    """The candidates of one list, in their order, that fit `budget` tokens: all, or as many random ones, two at least.

    A most relevant one and, where there is one, a less relevant one are among them. `around` is what the list takes
    beside its candidates; `padded` says that each is laid out as long as the longest.
    """
    n, top = len(lengths), max(relevance)
    if around + sum(lengths) <= budget and (not padded or around + n * max(lengths) <= PADDING * budget):
        return list(range(n))
    order = [int(i) for i in rng.permutation(n)]
    pair = [next(i for i in order if relevance[i] == top)]
    pair += [i for i in order if relevance[i] < top][:1]
    order = [*pair, *(i for i in order if i not in pair)]
    sizes = np.array(lengths)[order]
    fits = around + np.cumsum(sizes) <= budget
    if padded:
        fits &= around + np.arange(1, n + 1) * np.maximum.accumulate(sizes) <= PADDING * budget
    return sorted(order[: max(2, int(fits.sum()))])
