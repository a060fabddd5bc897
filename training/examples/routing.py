"""Routed queries: which of some language models is worth its price for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rranker.data import RankingExample, RouterRow
from rranker.data.routing import ROUTING_WEIGHTS, utilities
from rranker.prompts import ROUTING_INSTRUCTIONS
from rranker.training.examples.example import Example
from rranker.training.examples.invented import invent

NEIGHBOURS, OWN = 20, 0.4
"""Queries whose results speak for one like them, and the weight of a query's own: one answer is a noisy sample."""
LOOKS = {"known": 0.35, "names": 0.1, "repriced": 0.2, "invented": 0.35}
"""Shares of lists: models as they are, their names alone, at other prices, and under other names, too."""
SCALES = 20.0
"""With other prices, the dearest answer that costs are measured by costs up to this many times the list's dearest."""


class Routing:
    """RouterBench's training rows. What is best for a query is smoothed over the queries most like it.

    `vectors` gives the unit vectors [queries, D] by which queries are alike; None leaves each to its own results.
    """

    def __init__(
        self,
        rows: Sequence[RouterRow],
        max_cost: float,
        vectors: Callable[[Sequence[str]], np.ndarray] | None = None,
    ) -> None:
        self.rows, self._max_cost = rows, max_cost
        self._scores = np.array([row.scores for row in rows])
        self._costs = np.array([row.costs for row in rows])
        self._shares = self._scores.mean(0)  # of the queries, that each model answers
        self._weights = np.eye(len(rows))
        if vectors is not None:
            found = vectors([row.query for row in rows])
            alike = found @ found.T
            np.fill_diagonal(alike, -np.inf)
            nearest = np.argpartition(-alike, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
            self._weights *= OWN
            np.put_along_axis(self._weights, nearest, (1 - OWN) / NEIGHBOURS, axis=1)

    def draw(self, rng: np.random.Generator) -> Example:
        """A row under one of the settings, with some of its models in a random order."""
        row = int(rng.integers(len(self.rows)))
        setting = str(rng.choice(list(ROUTING_WEIGHTS)))
        look = str(rng.choice(list(LOOKS), p=list(LOOKS.values())))
        known = self.rows[row].candidates
        chosen = rng.permutation(len(known))[: int(rng.integers(4, len(known) + 1))]
        texts, factors, scale = [known[i] for i in chosen], np.ones(len(chosen)), self._max_cost
        if look == "names":
            texts = [text.partition(":")[0] for text in texts]
        elif look != "known":
            texts, factors = invent(texts, self._shares[chosen], rng, renamed=look == "invented")
            dearest = (self._costs[self._speak_for(row)][:, chosen] * factors).max()
            scale = dearest * np.exp(rng.uniform(0, np.log(SCALES)))
        own = utilities(self._scores[row, chosen], self._costs[row, chosen] * factors, setting, scale)
        case = RankingExample(
            "routing",
            self.rows[row].query,
            ROUTING_INSTRUCTIONS[setting],
            texts,
            own.tolist(),
            f"{setting}-{self.rows[row].id}",
        )
        return Example(case, np.log(self.target(row, chosen, factors, setting, scale)), 1.0)

    def target(
        self, row: int, chosen: np.ndarray, factors: np.ndarray, setting: str, max_cost: float
    ) -> np.ndarray:
        """[chosen] shares: half by how often each is the best, half by standardised utility.

        Utilities are differences in value, and costs spread far less than scores. `factors` [chosen] multiply costs.
        """
        near = self._speak_for(row)
        weights, places = self._weights[row, near], np.ix_(near, chosen)
        table = utilities(self._scores[places], self._costs[places] * factors, setting, max_cost)
        best = (table == table.max(1, keepdims=True)).astype(np.float64)
        best /= best.sum(1, keepdims=True)
        worth = weights @ table
        worth = 2 * (worth - worth.mean()) / (worth.std() + 1e-3)
        worth = np.exp(worth - worth.max())
        result: np.ndarray = 0.5 * weights @ best + 0.5 * worth / worth.sum()
        return result

    def _speak_for(self, row: int) -> np.ndarray:
        """The rows whose results say something of this one, itself included."""
        return np.flatnonzero(self._weights[row])
