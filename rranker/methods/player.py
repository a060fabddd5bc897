"""What all players share: an episode, and the decisions that were made in it."""

from __future__ import annotations

from collections.abc import Sequence

from ..prompts.segments import Kind
from .episode import Episode
from .outcome import Decision, Outcome


class Player:
    """Plays one query's episode to its outcome; a subclass says by what it decides."""

    def __init__(self, episode: Episode) -> None:
        self._episode, self._decisions = episode, list[Decision]()

    @property
    def kind(self) -> Kind:
        """The question that is asked."""
        return self._episode.kind

    @property
    def remaining(self) -> int:
        """Questions still to be asked; 0 when the ranking is decided."""
        return self._episode.remaining

    @property
    def decisions(self) -> Sequence[Decision]:
        """Those of the rounds played so far."""
        return self._decisions

    def outcome(self) -> Outcome:
        """The ranking. Raises ValueError while there are questions to ask."""
        if self.remaining:
            raise ValueError(f"{self.remaining} rounds are still to be played")
        return self._episode.outcome(self._decisions)
