"""Documents ranked by their parts: what a ranking of the parts says of each document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .assembled import Assembled
from .episode import Episode
from .outcome import Decision, Outcome


class Parts(Assembled):
    """One query's ranking of documents, from a ranking of their parts; `owners[i]`: the document that part i is of.

    With `max` a document is as good as its best part (MaxP of Dai and Callan 2019, arXiv 1905.09217), with `mean` as
    its parts on average. A part's score is that of `Ranking`: (n - rank + kept) / n. Rounds are told of documents: one
    is as probable as its parts together, is excluded with the last of them, or selected with the first.
    """

    def __init__(
        self, method: type[Episode], owners: Sequence[int], aggregate: Literal["max", "mean"]
    ) -> None:
        super().__init__(method(max(owners) + 1))
        self._owners, self._aggregate = owners, aggregate
        self._named = set[int]()  # documents that a round has decided
        self._left = [0] * self._episode.n  # parts that no round has excluded
        for owner in owners:
            self._left[owner] += 1
        self.best = list[int]()
        """Of each document its best part, once all is decided."""

    def decide(self, decision: Decision) -> None:
        """Takes a round about parts; one that decides nothing about a document is left out."""
        chances = dict[int, float]()
        for part, probability in zip(decision.asked, decision.probabilities, strict=True):
            owner = self._owners[part]
            chances[owner] = chances.get(owner, 0.0) + probability
        decided = list[int]()
        for part in decision.named:
            owner = self._owners[part]
            self._left[owner] -= 1
            if owner not in self._named and (self.kind != "exclude" or not self._left[owner]):
                self._named.add(owner)
                decided.append(owner)
        if decided:
            self._decisions.append(
                Decision(tuple(chances), tuple(decided), tuple(chances.values()), decision.thought)
            )

    def end(self, order: Sequence[Sequence[int]], kept: Sequence[float]) -> None:
        """Takes the ranking of the parts, best first; those of the same text together."""
        n, scores = len(order), list[list[tuple[float, float, int]]]()
        scores += ([] for _ in self._left)
        for rank, (parts, sure) in enumerate(zip(order, kept, strict=True), start=1):
            for part in parts:
                scores[self._owners[part]].append(((n - rank + sure) / n, sure, part))
        self.best = [max(found, key=lambda item: item[0])[2] for found in scores]
        if self._aggregate == "mean":
            totals = [sum(item[0] for item in found) / len(found) for found in scores]
            surest = totals
        else:
            totals, surest = ([max(found)[place] for found in scores] for place in (0, 1))
        documents = sorted(range(len(scores)), key=lambda document: -totals[document])
        self._outcome = Outcome(
            tuple(documents), tuple(surest[document] for document in documents), tuple(self._decisions)
        )
