"""Add a ranking method, here one of duels: `python examples/07_own_method.py`.

A method says what is asked next and what an answer does. All else comes with its name: `Ranker`, batches,
streams, every attention mode, rollouts in training.
"""

import rranker
from rranker.methods import Episode, Outcome, register


@register
class Champion(Episode):
    """One candidate stays, and the others challenge it. Losers go; who went late ranks high."""

    name = "champion"
    kind = "exclude"  # the question: which of those shown fits least?
    asked = choices = property(lambda self: self.left[:2])  # whom it shows, and who may be named
    remaining = property(lambda self: len(self.left) - 1)  # questions still to be asked

    def order(self):
        return (*self.left, *reversed(self.named))

    def outcome(self, decisions):
        lost = {d.named[0]: d.probabilities[d.asked.index(d.named[0])] for d in decisions}
        return Outcome(self.order(), tuple(1.0 - lost.get(i, 0.0) for i in self.order()), tuple(decisions))


def main() -> None:
    """Prints the duels and the ranking."""
    films = ["Clueless (1995)", "Predator (1987)", "Heat (1995)", "Total Recall (1990)", "Babe (1995)"]
    ranking = rranker.rank(["Alien (1979)", "Aliens (1986)"], films, method="champion")
    for duel in ranking.rounds:
        (winner,) = set(duel.alive) - set(duel.excluded)
        print(f"{films[winner]} beats {films[duel.excluded[0]]}")
    print(ranking)


if __name__ == "__main__":
    main()
