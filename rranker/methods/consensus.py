"""Self-consistency: several rankings of the same candidates, each laid out differently, and what they agree on."""

from __future__ import annotations

from collections.abc import Sequence

from .assembled import Assembled
from .outcome import Decision, Outcome


class Consensus(Assembled):
    """One query's ranking from `runs` rankings of the same places (Tang et al. 2024, arXiv 2310.07712).

    Candidates are sorted by their mean score, (n - rank + kept) / n in each run: Borda's count, with how surely each
    place was won. The rounds are those of the first run.
    """

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
