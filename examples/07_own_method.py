"""Add a ranking method: `python examples/07_own_method.py`.

*Champion* keeps one candidate and lets each of the others challenge it, two at a time: n - 1 questions of
two candidates. A method says what is asked next and what an answer does. Everything else comes with its
name: `Ranker`, batches, every attention mode, rollouts in training.
"""

from collections.abc import Sequence

import rranker
from rranker.methods import Decision, Episode, Outcome, Subset, register


@register
class Champion(Episode):
    """The loser of each duel goes; who went late ranks high, as in elimination."""

    name = "champion"
    kind = "exclude"  # the question: which of those shown fits least?

    @property
    def asked(self) -> Subset:
        return self.left[:2]

    @property
    def choices(self) -> Subset:
        return self.left[:2]

    @property
    def remaining(self) -> int:
        return len(self.left) - 1

    def order(self) -> Subset:
        return (*self.left, *reversed(self.named))

    def outcome(self, decisions: Sequence[Decision]) -> Outcome:
        lost = {d.named[0]: d.probabilities[d.asked.index(d.named[0])] for d in decisions}
        order = self.order()
        return Outcome(order, tuple(1.0 - lost.get(place, 0.0) for place in order), tuple(decisions))


def main() -> None:
    """Prints the duels and the ranking."""
    history = ["Alien (1979)", "Blade Runner (1982)", "Terminator, The (1984)", "Aliens (1986)"]
    films = [
        "Clueless (1995)",
        "Predator (1987)",
        "Lion King, The (1994)",
        "Total Recall (1990)",
        "Babe (1995)",
    ]
    ranking = rranker.rank(history, films, method="champion")
    for duel in ranking.rounds:
        (loser,) = duel.excluded
        (winner,) = set(duel.alive) - {loser}
        print(f"{films[winner]} beats {films[loser]}")
    print(ranking)


if __name__ == "__main__":
    main()
