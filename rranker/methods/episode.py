"""A ranking method as a game: it asks about candidates, one of them is named, and that decides what it asks next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from ..prompts.segments import Kind
from .outcome import Decision, Outcome, Subset


class Episode(ABC):
    """One query's play of a method; a subclass is the method. Places 0 … n-1 are those of the prompt.

    It knows the rules only. Who decides is the player's matter: `Greedy` takes the most probable candidate, `Sampled`
    draws, `replay` repeats what was decided before. To add a method, write a subclass in a file of its own and
    `register` it; ranking, reinforcement training and benchmarks then know it by name.

    Class attributes: `name` is what users call it; `kind` the question it asks, `exclude` (who fits least?) or `select`
    (who fits best?); `one_question` whether every verdict answers the very same question; `names_for_good` whether
    whoever is named has a place, and is not asked about again.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    one_question: ClassVar[bool] = False
    names_for_good: ClassVar[bool] = True

    def __init__(self, n: int, *, top_k: int | None = None) -> None:
        if n < 1:
            raise ValueError(f"there must be at least one candidate, not {n}")
        self.n, self.top_k = n, top_k
        self.named: Subset = ()
        """Who was named so far, in that order."""
        self.left: Subset = tuple(range(n))
        """Who was not, by place."""

    @property
    def asked(self) -> Subset:
        """Whom the next question shows, by place: those left, unless the method says otherwise."""
        return self.left

    @property
    def choices(self) -> Subset:
        """Who of them may be named now."""
        return self.left

    @property
    @abstractmethod
    def remaining(self) -> int:
        """Questions still to be asked; 0 when the ranking is decided."""

    @property
    def leaving(self) -> int:
        """How many the next verdict decides when the most probable are taken."""
        return 1

    def play(self, named: Sequence[int]) -> None:
        """Some of `choices` are named, the first one first."""
        gone = set(named)
        self.named += tuple(named)
        self.left = tuple([place for place in self.left if place not in gone])

    @abstractmethod
    def order(self) -> Subset:
        """The whole ranking, best first, as far as it is decided; those never named keep their places' order."""

    @abstractmethod
    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        """The whole ranking with how surely each place was won, from the verdicts that led to it."""

    def copy(self) -> Self:
        """The same state, to be played on without touching this one."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other
