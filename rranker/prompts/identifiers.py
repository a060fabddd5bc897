"""Identifiers: short strings that are one token each in the model's vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from string import ascii_lowercase, ascii_uppercase, digits
from threading import Lock

from .encoding import TextEncoder
from .too_many import TooManyError


def spellings() -> Iterator[str]:
    """A … Z, then a … z, AA … ZZ, digits and longer mixes: the shortest and plainest first."""
    yield from ascii_uppercase
    yield from ascii_lowercase
    yield from map("".join, product(ascii_uppercase, repeat=2))
    yield from digits
    yield from map("".join, product(ascii_lowercase, repeat=2))
    yield from map("".join, product(ascii_uppercase, repeat=3))


class Identifiers:
    """Token ids of identifiers in the vocabulary of `encoder`, found by trying: a letter need not be one token.

    Safe to share between threads: the identifiers are the same ones, in the same order, whoever asks first.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self._source = spellings()
        self._found: list[int] = []
        self._seen: set[int] = set()
        self._lock = Lock()

    def first(self, n: int) -> tuple[int, ...]:
        """The first `n` distinct single-token identifiers.

        Raises TooManyError when the vocabulary has fewer; then rank fewer candidates at once.
        """
        with self._lock:
            while len(self._found) < n:
                spelling = next(self._source, None)
                if spelling is None:
                    raise TooManyError(
                        f"this model's vocabulary has only {len(self._found)} single-token identifiers, {n} candidates "
                        "need one each: rank fewer candidates at once, or use a model with a pointer head",
                        len(self._found),
                    )
                index = self.encoder.single_token(spelling)
                if index is not None and index not in self._seen:
                    self._seen.add(index)
                    self._found.append(index)
            return tuple(self._found[:n])
