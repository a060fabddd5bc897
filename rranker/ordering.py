"""The order in which candidates are laid out, so that the order they came in cannot matter."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from .whole import whole_number

SEEDS = 2**62
"""Seeds lie this far from zero at most: layouts of their own count on from them, and 64 bits hold all of that."""


def check_seed(seed: Any) -> None:
    """Raises TypeError for a seed that is no whole number, ValueError for one too far from zero."""
    if abs(whole_number(seed, "seed")) > SEEDS:
        raise ValueError(f"seed must lie between -2**62 and 2**62, not at {seed}")


def distinct(texts: Sequence[str]) -> list[tuple[int, ...]]:
    """Indices of equal texts together, in input order: `["a", "b", "a"]` → `[(0, 2), (1,)]`."""
    groups: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(text, []).append(index)
    return [tuple(group) for group in groups.values()]


def canonical_order(texts: Sequence[str], seed: int = 0) -> list[int]:
    """Indices of distinct `texts` by a hash of text and seed."""
    key = seed.to_bytes(8, "little", signed=True)

    def digest(text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).digest()

    return sorted(range(len(texts)), key=lambda i: (digest(texts[i]), i))
