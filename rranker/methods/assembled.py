"""The player of a ranking that is put together from others, which are played elsewhere."""

from __future__ import annotations

from .episode import Episode
from .outcome import Outcome
from .player import Player


class Assembled(Player):
    """A subclass says how: it takes decisions and outcomes of the others, and in the end sets `_outcome`."""

    def __init__(self, episode: Episode) -> None:
        super().__init__(episode)
        self._outcome: Outcome | None = None

    @property
    def remaining(self) -> int:
        """1 until all of the others are ranked."""
        return 0 if self._outcome is not None else 1

    def outcome(self) -> Outcome:
        """The ranking. Raises ValueError until all of the others are ranked."""
        if self._outcome is None:
            raise ValueError("the rankings that this one is made of are still to be played")
        return self._outcome
