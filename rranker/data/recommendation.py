"""Films, music and games: a history of titles, and which of twenty items came next."""

from __future__ import annotations

import csv
import html
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from .case import Case, data_file

Sampler = Literal["uniform", "popular"]
HISTORY = 20
EARLY = 2 * HISTORY + 1
"""Training histories that end here are like the tasks', which ask for a user's 21st item: what long histories end in is
another, less popular choice."""
User = TypeVar("User", int, str)


@dataclass(frozen=True)
class Interactions:
    """Each user's distinct titles in time order, as indices into `titles`; users split 80/20 by `seed`."""

    name: str
    titles: tuple[str, ...]
    histories: tuple[tuple[int, ...], ...]
    seed: int = 0

    @cached_property
    def test_users(self) -> frozenset[int]:
        """A fifth of all users: nothing of theirs trains, not even later items."""
        order = np.random.default_rng(self.seed).permutation(len(self.histories))
        return frozenset(int(user) for user in order[: len(order) // 5])

    @cached_property
    def train_users(self) -> tuple[int, ...]:
        """Users who are not test users, in order."""
        return tuple(u for u in range(len(self.histories)) if u not in self.test_users)

    @cached_property
    def popularity(self) -> np.ndarray:
        """[items]: how many training users have each item."""
        counts = Counter(item for user in self.train_users for item in self.histories[user])
        return np.array([counts[item] for item in range(len(self.titles))], dtype=np.float64)

    @cached_property
    def _cumulative(self) -> np.ndarray:
        return np.cumsum(self.popularity)

    def negatives(
        self, history: tuple[int, ...], count: int, sampler: Sampler, rng: np.random.Generator
    ) -> list[int]:
        """`count` distinct items the user never touched, uniform over the catalogue or by popularity."""
        taken = set(history)
        chosen: list[int] = []
        if len(self.titles) - len(taken) < count:
            raise ValueError(f"{self.name} has too few items for {count} negatives")
        while len(chosen) < count:
            if sampler == "uniform":
                draw = rng.integers(len(self.titles), size=2 * count)
            else:
                draw = np.searchsorted(
                    self._cumulative, rng.random(2 * count) * self._cumulative[-1], "right"
                )
            for item in map(int, draw):
                if item not in taken and len(chosen) < count:
                    taken.add(item)
                    chosen.append(item)
        return chosen


def movielens(folder: str | Path | None = None, seed: int = 0) -> Interactions:
    """MovieLens latest-small: every rated film of every user, oldest first."""
    with open(data_file("ml_latest_small/movies.csv", folder), encoding="utf-8", newline="") as file:
        names = {row["movieId"]: row["title"] for row in csv.DictReader(file)}
    with open(data_file("ml_latest_small/ratings.csv", folder), encoding="utf-8", newline="") as file:
        events = [(int(r["userId"]), int(r["timestamp"]), names[r["movieId"]]) for r in csv.DictReader(file)]
    return interactions_from("movies", events, seed)


def lastfm(folder: str | Path | None = None, seed: int = 0) -> Interactions:
    """An artist counts from the day a user first tagged it."""
    with open(data_file("lastfm_hetrec/artists.dat", folder), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    names = {row[0]: row[1] for row in rows}
    events = []
    with open(data_file("lastfm_hetrec/user_taggedartists.dat", folder), encoding="utf-8") as file:
        for line in list(file)[1:]:
            user, artist, _, day, month, year = line.split()
            if artist in names:
                events.append((int(user), (int(year) * 100 + int(month)) * 100 + int(day), names[artist]))
    return interactions_from("music", events, seed)


def games(folder: str | Path | None = None, seed: int = 0) -> Interactions:
    """Amazon Games as LLMRank ships it: histories and targets, oldest first."""
    with open(data_file("amazon_games_llmrank/Games-6k.item", folder), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    names = {row[0]: row[1] for row in rows if len(row) > 1}
    events = []
    with open(data_file("amazon_games_llmrank/Games-6k.test.inter", folder), encoding="utf-8") as file:
        for line in list(file)[1:]:
            user, history, target = line.rstrip("\n").split("\t")
            items = [*history.split(), target]
            events += [(int(user), time, names[item]) for time, item in enumerate(items) if item in names]
    return interactions_from("games", events, seed)


def interactions_from(name: str, events: Iterable[tuple[User, int, str]], seed: int) -> Interactions:
    """(user, time, title) rows; the sort is stable, so rows of one moment keep the file's order."""
    titles: dict[str, int] = {}
    users: dict[User, dict[int, None]] = {}
    for user, _, title in sorted(events, key=lambda event: event[:2]):
        clean = html.unescape(title).strip()
        if clean:
            users.setdefault(user, {})[titles.setdefault(clean, len(titles))] = None
    return Interactions(name, tuple(titles), tuple(tuple(items) for items in users.values()), seed)


def recommendation_cases(
    data: Interactions, split: Literal["train", "test"], sampler: Sampler, *, limit: int | None = None
) -> list[Case]:
    """First 20 items → the 21st among 19 negatives, for every user of the split who has 21."""
    users = data.train_users if split == "train" else sorted(data.test_users)
    cases = []
    for user in users:
        items = data.histories[user]
        if len(items) <= HISTORY:
            continue
        rng = np.random.default_rng([data.seed, user, sampler == "popular"])
        pool = [items[HISTORY], *data.negatives(items, 19, sampler, rng)]
        order = rng.permutation(len(pool))
        cases.append(
            Case(
                task="recommendation",
                query=[data.titles[item] for item in items[:HISTORY]],
                instruction=None,
                candidates=[data.titles[pool[i]] for i in order],
                grades=[float(i == 0) for i in order],
                id=f"{data.name}-{user}",
            )
        )
        if limit is not None and len(cases) == limit:
            break
    return cases
