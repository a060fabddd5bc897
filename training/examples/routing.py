"""Routed queries: which of some language models is worth its price for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rranker.data import RankingExample, RouterRow
from rranker.data.routing import ROUTING_WEIGHTS, utilities
from rranker.prompts import ROUTING_INSTRUCTIONS
from rranker.training.examples.example import Example

NEIGHBOURS, OWN = 20, 0.4
"""Queries whose results speak for one like them, and the weight of a query's own: one answer is a noisy sample."""
HIDDEN = 0.15
"""Share of lists that show models' names alone."""


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
        self._weights = np.eye(len(rows))
        if vectors is not None:
            found = vectors([row.query for row in rows])
            alike = found @ found.T
            np.fill_diagonal(alike, -np.inf)
            nearest = np.argpartition(-alike, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
            self._weights *= OWN
            np.put_along_axis(self._weights, nearest, (1 - OWN) / NEIGHBOURS, axis=1)
        self._targets: dict[str, np.ndarray] = {}

    def draw(self, rng: np.random.Generator) -> Example:
        """A row under one of the settings, with some of its models in a random order."""
        row = int(rng.integers(len(self.rows)))
        setting = str(rng.choice(list(ROUTING_WEIGHTS)))
        texts = self.rows[row].candidates
        chosen = rng.permutation(len(texts))[: int(rng.integers(4, len(texts) + 1))]
        values = utilities(self.rows[row], setting, self._max_cost)[chosen]
        names_alone = rng.random() < HIDDEN
        case = RankingExample(
            "routing",
            self.rows[row].query,
            ROUTING_INSTRUCTIONS[setting],
            [texts[i].partition(":")[0] if names_alone else texts[i] for i in chosen],
            values.tolist(),
            f"{setting}-{self.rows[row].id}",
        )
        return Example(case, np.log(self._target(setting)[row, chosen]), 1.0)

    def _target(self, setting: str) -> np.ndarray:
        """[rows, models] shares: half by how often each is the best, half by standardised utility.

        Utilities are differences in value, and costs spread far less than scores.
        """
        if setting not in self._targets:
            table = np.array([utilities(row, setting, self._max_cost) for row in self.rows])
            best = (table == table.max(1, keepdims=True)).astype(np.float64)
            best /= best.sum(1, keepdims=True)
            worth = self._weights @ table
            worth = 2 * (worth - worth.mean(1, keepdims=True)) / (worth.std(1, keepdims=True) + 1e-3)
            worth = np.exp(worth - worth.max(1, keepdims=True))
            worth /= worth.sum(1, keepdims=True)
            self._targets[setting] = 0.5 * self._weights @ best + 0.5 * worth
        return self._targets[setting]
