"""A prompt as segments of token ids: the shape every layer below works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["exclude", "select", "judge", "likelihood"]
"""What the suffix asks: who fits least (IRanker's rounds), who fits best (DRanker's one shot); or, of each candidate
alone, whether it fits (`judge`), or how probable it makes the query (`likelihood`)."""

POINTWISE: frozenset[Kind] = frozenset(("judge", "likelihood"))
"""Kinds whose questions show one candidate at a time."""

Query = str | list[str]
"""A question, or a history of titles, oldest first."""


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A segment before it is fitted to a token budget: only `body`, the user's text, may be shortened.

    `keep_end` marks bodies whose end matters more than their start (a history: the latest choices).
    """

    head: tuple[int, ...]
    body: tuple[int, ...]
    tail: tuple[int, ...] = ()
    keep_end: bool = False

    def __len__(self) -> int:
        return len(self.head) + len(self.body) + len(self.tail)

    @property
    def ids(self) -> tuple[int, ...]:
        """All three parts' token ids, in order."""
        return self.head + self.body + self.tail


@dataclass(frozen=True, slots=True)
class Segments:
    """`[prefix] [candidate 1] … [candidate n] [suffix]`, each tokenised on its own.

    `identifiers[i]` is the token that names candidate i in the answer (identifier readout), or empty when the
    readout points at the candidates' hidden states instead. `targets`, for questions about each candidate alone: the
    token of yes and that of no (`judge`; empty where the readout points), or the tokens whose probability is asked
    for (`likelihood`). `prior[i]`: what is added to the fitness that candidate i is given, as a logit; empty: nothing.
    `search`: the query's own words are what is looked for (`Template`).
    """

    prefix: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...]
    suffix: tuple[int, ...]
    identifiers: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    prior: tuple[float, ...] = ()
    search: bool = False

    def __post_init__(self) -> None:
        if not self.prefix or not self.suffix or not all(self.candidates):
            raise ValueError("every segment of a prompt must hold at least one token")
        if self.identifiers and len(self.identifiers) != len(self.candidates):
            raise ValueError(f"{len(self.identifiers)} identifiers for {len(self.candidates)} candidates")
        if len(set(self.identifiers)) != len(self.identifiers):
            raise ValueError("two candidates share an identifier")
        if self.prior and len(self.prior) != len(self.candidates):
            raise ValueError(f"{len(self.prior)} prior logits for {len(self.candidates)} candidates")
