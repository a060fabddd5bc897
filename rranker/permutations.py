"""Permutations: read one from a model's text, repair it, and compare two.

An *order* lists items best first: `order[r]` is the item (from 0) at rank r. The comparisons take two orders
of the same items, or a ragged batch of them as flat arrays with CSR `offsets`, and then return one value a
row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rranker import _C
from rranker.real import real_number
from rranker.types import Repair
from rranker.whole import whole_number, whole_numbers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MESSAGES = {
    "unclosed_think": "the thought was never closed; what it says was read as the answer",
    "unclosed_answer": "the answer was never closed; it was read to the end",
    "full_width": "full-width characters were read as their plain forms",
    "digits": "digits of another script were read as 0 to 9",
    "reversed": "the list runs from worst to best and was turned round",
    "zero_based": "the ids count from 0; each was moved up by one",
    "prose": "other text stands before the list and was passed over",
    "unparsed": "no id of any candidate was found; the fallback order stands",
    "out_of_range": "id {value} names no candidate and was dropped",
    "repeated": "candidate {value} was named again; the first mention counts",
    "missing": "candidate {value} was not named and was appended",
    "substring": "candidate {value} was matched by part of its text",
    "closest": "candidate {value} was matched as the closest text",
}
_OF_CANDIDATE = ("repeated", "missing", "substring", "closest")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A full permutation read from text: the model named the first `listed` places, the rest were appended."""

    order: tuple[int, ...]
    listed: int
    repairs: tuple[Repair, ...]

    def count(self, kind: str) -> int:
        """How many repairs of one kind (`repeated`, `missing`, `out_of_range`, ...)."""
        return sum(repair.kind == kind for repair in self.repairs)


def parse(
    text: str | bytes,
    n: int,
    *,
    base: int = 1,
    candidates: Sequence[str] | None = None,
    fallback: ArrayLike | None = None,
) -> Parsed:
    """Reads a ranking of `n` candidates from a model's text; always a full permutation.

    Understood: `[3] > [1] > [2]`, `[2] < [1] < [3]` (turned round), one id a line, numbering (`1. [3]`), ranges
    (`[1-3]`), letters, named candidates (`passage 3`), digits of every script, JSON (lists; objects with an id, by
    their `rank`, else by falling `score` or `relevance`; candidates as keys), prose around the list, thoughts
    (`<think>…</think>`, also unclosed) and `<answer>…</answer>`. With `candidates` their own texts count too: whole
    lines, then parts of lines, then the closest by shared bigrams.

    Where several lists stand in the text, one that is ordered (`>`, numbering), labelled (`Ranking:`) or on lines of
    its own goes before ids within sentences and notes; then the one with most distinct ids; of equals the last. Where
    there are sentences alone, candidates stand in the order of their first mention, those called worst at the end.
    Numbers count from `base`. What is missing follows in the order of `fallback` (default: input order). Each repair
    is reported; its `index` is the candidate it concerns. The time is linear in the text's length.

    Raises `TypeError` for a text that is neither str nor bytes, `ValueError` for a `fallback` that is no permutation,
    or `candidates` that are not `n` texts.

    >>> parse("I prefer [3] > [1] > [3]", 3).order
    (2, 0, 1)
    """
    order, listed, notes = _C.parse_permutation(
        _encode(text, "text"),
        whole_number(n, "n"),
        whole_number(base, "base"),
        _encode_all(candidates),
        None if fallback is None else whole_numbers(fallback, "fallback"),
    )
    return Parsed(tuple(order.tolist()), listed, tuple(_repair(kind, value) for kind, value in notes))


def parse_choice(
    text: str | bytes, n: int, *, base: int = 1, candidates: Sequence[str] | None = None
) -> tuple[int | None, tuple[Repair, ...]]:
    """The one candidate (from 0) that a text chooses or excludes, or None; with the repairs it took.

    The first one of the strongest evidence: a JSON key that names a choice (`exclude`, `answer`, `best`, then `id`,
    `passage`; never `confidence` or `score`); a candidate that is said to be the choice (`exclude [2]`, `answer: 2`),
    stands on a line of its own, or is called the best or the least; one that is bracketed or named (`[2]`,
    `passage 2`, `candidate B`, by its own text); a bare number; a number that counts something (`1 flaw`). Where that
    names none of the `n` candidates (`exclude [9]`), the answer is None. Raises as `parse` does.

    >>> parse_choice("Exclude [2]. It has 1 flaw.", 4)[0]
    1
    """
    choice, notes = _C.parse_choice(
        _encode(text, "text"), whole_number(n, "n"), whole_number(base, "base"), _encode_all(candidates)
    )
    return (None if choice < 0 else choice), tuple(_repair(kind, value) for kind, value in notes)


def _repair(kind: str, value: int) -> Repair:
    return Repair(kind, _MESSAGES[kind].format(value=value), value if kind in _OF_CANDIDATE else None)


def _encode(text: object, name: str) -> bytes:
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    if isinstance(text, bytes):
        return text
    raise TypeError(
        f"{name} must be str or bytes, not {type(text).__name__}: pass the words themselves, "
        f'and "" where the model gave no answer'
    )


def _encode_all(candidates: Sequence[str] | None) -> list[bytes] | None:
    if candidates is None:
        return None
    if isinstance(candidates, str | bytes):
        raise TypeError("candidates must be a list of texts, not one text; wrap a single one in a list")
    return [_encode(text, f"candidate {index}") for index, text in enumerate(candidates)]


def _batch(values: ArrayLike, offsets: ArrayLike | None, name: str) -> tuple[Ints, Ints]:
    flat = whole_numbers(values, name)
    return flat, np.array([0, flat.size]) if offsets is None else whole_numbers(offsets, "offsets")


def invert(order: ArrayLike, offsets: ArrayLike | None = None) -> Ints:
    """The inverse: `invert(order)[item]` is the rank of `item`."""
    return _C.invert(*_batch(order, offsets, "order"))


def compose(first: ArrayLike, second: ArrayLike, offsets: ArrayLike | None = None) -> Ints:
    """`compose(first, second)[i] = first[second[i]]`: `second` re-orders the places of `first`."""
    flat, ends = _batch(first, offsets, "first")
    return _C.compose(flat, whole_numbers(second, "second"), ends)


@overload
def inversions(order: ArrayLike, offsets: None = None) -> int: ...
@overload
def inversions(order: ArrayLike, offsets: ArrayLike) -> Ints: ...
def inversions(order: ArrayLike, offsets: ArrayLike | None = None) -> int | Ints:
    """Pairs that stand in falling order: |{i < j : order[i] > order[j]}|, in O(n log n)."""
    result = _C.inversions(*_batch(order, offsets, "order"))
    return int(result[0]) if offsets is None else result


@overload
def kendall_tau(a: ArrayLike, b: ArrayLike, offsets: None = None) -> float: ...
@overload
def kendall_tau(a: ArrayLike, b: ArrayLike, offsets: ArrayLike) -> Floats: ...
def kendall_tau(a: ArrayLike, b: ArrayLike, offsets: ArrayLike | None = None) -> float | Floats:
    """Kendall's tau of two orders: (concordant - discordant pairs) / all pairs (Kendall 1938).

    1 for equal orders, -1 for reversed ones; 1 for fewer than two items.
    """
    flat, ends = _batch(a, offsets, "a")
    result = _C.kendall_tau(flat, whole_numbers(b, "b"), ends)
    return float(result[0]) if offsets is None else result


@overload
def spearman(a: ArrayLike, b: ArrayLike, offsets: None = None) -> float: ...
@overload
def spearman(a: ArrayLike, b: ArrayLike, offsets: ArrayLike) -> Floats: ...
def spearman(a: ArrayLike, b: ArrayLike, offsets: ArrayLike | None = None) -> float | Floats:
    """Spearman's rho of two orders (Spearman 1904): 1 - 6 sum(d^2) / (n (n^2 - 1)), d the difference of ranks.

    1 for fewer than two items.
    """
    flat, ends = _batch(a, offsets, "a")
    result = _C.spearman(flat, whole_numbers(b, "b"), ends)
    return float(result[0]) if offsets is None else result


@overload
def rbo(a: ArrayLike, b: ArrayLike, offsets: None = None, *, p: float = 0.9) -> float: ...
@overload
def rbo(a: ArrayLike, b: ArrayLike, offsets: ArrayLike, *, p: float = 0.9) -> Floats: ...
def rbo(a: ArrayLike, b: ArrayLike, offsets: ArrayLike | None = None, *, p: float = 0.9) -> float | Floats:
    """Rank-biased overlap, extrapolated, of two orders of the same items (Webber, Moffat and Zobel 2010, eq. 23).

    (1 - p) sum over d of p^(d-1) A_d, plus p^n A_n, where A_d is the share of the top d that both orders
    hold.
    """
    flat, ends = _batch(a, offsets, "a")
    result = _C.rbo(flat, whole_numbers(b, "b"), ends, real_number(p, "p", above=0, below=1))
    return float(result[0]) if offsets is None else result
