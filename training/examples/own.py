"""A user's own ranking problems: as they are, without a teacher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rranker.data import RankingExample
from rranker.metrics.graded import gains
from rranker.training.examples.example import Example

CANDIDATE_TOKENS, PREFIX_TOKENS = 256, 512
"""What candidates and queries are cut to in training: of candidates, as much as the trained model reads."""


class Own:
    """Lists of a user's files. What is wanted of each is relevance alone, in proportion, the worst counting nothing."""

    def __init__(self, examples: Sequence[RankingExample]) -> None:
        """`examples`: at least one; of any templates."""
        if not examples:
            raise ValueError("the source `own` draws from --data, which names no file")
        self.rows = len(examples)
        tasks = sorted({example.task for example in examples})
        self._by_task = [[example for example in examples if example.task == task] for task in tasks]
        self._shares = np.array([len(group) for group in self._by_task]) / len(examples)

    def draw(self, rng: np.random.Generator, count: int) -> list[Example]:
        """Up to `count` different lists of one template, candidates in a random order."""
        group = self._by_task[rng.choice(len(self._by_task), p=self._shares)]
        return [_taught(group[i], rng) for i in rng.permutation(len(group))[:count]]


def _taught(example: RankingExample, rng: np.random.Generator) -> Example:
    order = rng.permutation(len(example.candidates))
    scaled = gains(example.relevance)
    shuffled = RankingExample(
        example.task,
        example.query,
        example.instruction,
        [example.candidates[i] for i in order],
        [scaled[i] for i in order],
        example.id,
    )
    return Example(shuffled, np.zeros(len(order)), 0.0)
