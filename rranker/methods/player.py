"""What all players share: an episode, and the decisions that were made in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..prompts.segments import Kind
from .episode import Episode
from .outcome import Decision, Outcome, Subset, by_logit


class Player:
    """Plays one query's episode to its outcome; a subclass says by what it decides."""

    def __init__(self, episode: Episode) -> None:
        self._episode, self._decisions = episode, list[Decision]()
        # Each candidate's logit in the last verdict about it that gave any.
        self._latest = np.zeros(episode.n)
        self.thought: str | None = None
        """What was said before the next verdict."""

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

    def finish(self) -> None:
        """Plays what remains by the last verdicts, as they stand. It was not asked, so no decision is on record."""
        while self._episode.remaining:
            self._episode.play(self._first(self._episode.choices, self._episode.leaving))

    def _first(self, choices: Subset, count: int) -> Subset:
        """The most probable by the last verdicts.

        Of equals the later is excluded and the earlier selected, so both rank as they came.
        """
        logits = self._latest[list(choices)]
        return by_logit(choices, logits, later_first=self.kind == "exclude")[:count]

    def _decide(self, asked: Subset, named: Subset, chances: tuple[float, ...]) -> None:
        """Keeps a verdict, with the thought before it, and plays it."""
        self._decisions.append(Decision(asked, named, chances, self.thought))
        self.thought = None
        self._episode.play(named)

    def outcome(self) -> Outcome:
        """The ranking. Raises ValueError while there are questions to ask."""
        if self.remaining:
            raise ValueError(f"{self.remaining} rounds are still to be played")
        return self._episode.outcome(self._decisions)
