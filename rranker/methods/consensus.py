"""Self-consistency: several rankings of the same candidates, each laid out differently, and what they agree on."""

from __future__ import annotations

from collections.abc import Sequence

from .episode import Episode
from .outcome import Decision, Outcome
from .player import Player


class Consensus(Player):
    """One query's ranking from `runs` rankings of the same places (Tang et al. 2024, arXiv 2310.07712).

    Candidates are sorted by their mean score, (n - rank + kept) / n in each run: Borda's count, with how surely each
    place was won. The rounds are those of the first run.
    """

    def __init__(self, method: type[Episode], n: int) -> None:
        super().__init__(method(n))
        self._outcome: Outcome | None = None

    @property
    def remaining(self) -> int:
        """1 until all runs are ranked."""
        return 0 if self._outcome is not None else 1

    def decide(self, decision: Decision) -> None:
        """Takes a round of the first run."""
        self._decisions.append(decision)

    def end(self, runs: Sequence[Outcome]) -> None:
        """Takes the outcome of every run."""
        n = self._episode.n
        scores, sure = [0.0] * n, [0.0] * n
        for run in runs:
            for rank, (place, kept) in enumerate(zip(run.order, run.kept, strict=True), start=1):
                scores[place] += (n - rank + kept) / n
                sure[place] += kept / len(runs)
        order = tuple(sorted(range(n), key=lambda place: -scores[place]))
        self._outcome = Outcome(order, tuple(sure[place] for place in order), tuple(self._decisions))

    def outcome(self) -> Outcome:
        """The ranking. Raises ValueError until all runs are ranked."""
        if self._outcome is None:
            raise ValueError("there are runs still to be ranked")
        return self._outcome
