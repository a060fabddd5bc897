"""The player that repeats: decisions made before, so that their probabilities can be asked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .episode import Episode
from .outcome import Subset


def replay(episode: Episode, decisions: Sequence[int]) -> Iterator[tuple[Subset, Subset]]:
    """Before each decision: whom the question showed, and who of them could be named. Ends in the state after the last.

    Raises ValueError for a decision that the rules do not allow.
    """
    for decision in decisions:
        asked, choices = episode.asked, episode.choices
        if decision not in choices:
            raise ValueError(f"candidate {decision} could not be named: {choices} could")
        yield asked, choices
        episode.play((decision,))


def order_of(episode: Episode, decisions: Sequence[int]) -> Subset:
    """The ranking that decisions stand for, best first; those they did not get to keep their places' order."""
    for _ in replay(episode, decisions):
        pass
    return episode.order()
