"""Histories of titles as lists, and as many histories against one pool of titles."""

from __future__ import annotations

import numpy as np

from rranker.data import Interactions, RankingExample
from rranker.data.recommendation import EARLY, HISTORY, Sampler
from rranker.training.examples.example import Example, Pairs
from rranker.training.examples.teachers import Neighbours

TEACHER_WEIGHT = 0.7


class Histories:
    """Windows of training users' histories.

    `uniform` is the share of lists whose negatives are drawn uniformly over the catalogue, the others' by popularity;
    `early` the share of windows that end within a user's first 40 items, as the tasks' do.
    """

    def __init__(self, interactions: Interactions, uniform: float, early: float) -> None:
        self.interactions = interactions
        self.teacher = Neighbours(interactions)
        self._users = [u for u in interactions.train_users if len(interactions.histories[u]) >= 4]
        self._uniform, self._early = uniform, early

    def length(self, rng: np.random.Generator) -> int:
        """Half of the histories are as long as the tasks', the others shorter: those cost less."""
        return HISTORY if rng.random() < 0.5 else int(rng.integers(3, HISTORY))

    def window(self, rng: np.random.Generator, length: int) -> Example:
        """A training user's `length` items before a random moment → the next one."""
        found = self.interactions
        items, at = self._moment(rng)
        history = items[max(0, at - length) : at]
        sampler: Sampler = "uniform" if rng.random() < self._uniform else "popular"
        pool = [items[at], *found.negatives(items, int(rng.integers(9, 20)), sampler, rng)]
        pool = [pool[i] for i in rng.permutation(len(pool))]
        relevance = [float(item == items[at]) for item in pool]
        titles = [found.titles[item] for item in pool]
        return Example(
            RankingExample("recommendation", self._shown(history), None, titles, relevance, found.name),
            self.teacher.scores(history, pool, own=items),
            TEACHER_WEIGHT,
        )

    def pairs(self, rng: np.random.Generator, queries: int, texts: int, length: int) -> Pairs:
        """`queries` windows of at most `length` titles against `texts` titles: the next ones and negatives."""
        found = self.interactions
        moments = [self._moment(rng) for _ in range(queries)]
        pool = list(dict.fromkeys(items[at] for items, at in moments))
        samplers: tuple[Sampler, ...] = ("popular", "uniform")
        for sampler in samplers:
            pool += found.negatives(
                tuple(pool), (texts - len(pool)) // (2 if sampler == "popular" else 1), sampler, rng
            )
        relevance = np.zeros((queries, len(pool)))
        scores = np.zeros((queries, len(pool)))
        for row, (items, at) in enumerate(moments):
            scores[row] = self.teacher.scores(items[max(0, at - length) : at], pool, own=items)
            relevance[row] = np.array(pool) == items[at]
            scores[row, np.isin(pool, items) & (relevance[row] == 0)] = -np.inf  # had, before or after
        shown = [self._shown(items[max(0, at - length) : at]) for items, at in moments]
        return Pairs(
            "recommendation", shown, [found.titles[i] for i in pool], relevance, scores, TEACHER_WEIGHT
        )

    def _moment(self, rng: np.random.Generator) -> tuple[tuple[int, ...], int]:
        """A training user's items, and the place of the one to be told."""
        items = self.interactions.histories[self._users[rng.integers(len(self._users))]]
        early = self._early > 0 and rng.random() < self._early
        return items, int(rng.integers(3, min(len(items), EARLY) if early else len(items)))

    def _shown(self, history: tuple[int, ...]) -> list[str]:
        return [self.interactions.titles[item] for item in history]
