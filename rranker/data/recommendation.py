"""Films, music and games: a history of titles, and which of twenty items came next."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from rranker.files import parsed_lines

from .example import RankingExample, data_file
from .records import csv_rows
from .splits import Split, in_validation

Sampler = Literal["uniform", "popular"]
HISTORY = 20
EARLY = 2 * HISTORY + 1
"""Training histories that end here are like the tasks', which ask for a user's 21st item: what long histories end in is
another, less popular choice."""
User = TypeVar("User", int, str)


@dataclass(frozen=True)
class Interactions:
    """Each user's distinct titles in time order, as indices into `titles`.

    A fifth of the users, drawn by `seed`, are for testing, a tenth of the others for validation.
    """

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
        """Users who are neither test nor validation users, in order."""
        return tuple(u for u in self._known_users if u not in self.validation_users)

    @cached_property
    def validation_users(self) -> frozenset[int]:
        """A tenth of those who are not test users: choices are made on them, and nothing of theirs trains before.

        Once all is chosen, item factors are fitted to them, too (`item_factors --refit`).
        """
        return frozenset(u for u in self._known_users if in_validation(f"{self.name}-{u}"))

    @cached_property
    def _known_users(self) -> tuple[int, ...]:
        return tuple(u for u in range(len(self.histories)) if u not in self.test_users)

    @cached_property
    def popularity(self) -> np.ndarray:
        """[items]: how many users outside the test have each item."""
        return self.counts(self._known_users)

    def counts(self, users: Iterable[int]) -> np.ndarray:
        """[items]: how many of these users have each item."""
        counted = Counter(item for user in users for item in self.histories[user])
        return np.array([counted[item] for item in range(len(self.titles))], dtype=np.float64)

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
    movies = data_file("ml_latest_small/movies.csv", folder)
    names = dict(csv_rows(movies, lambda row: (row["movieId"], row["title"])))
    ratings = data_file("ml_latest_small/ratings.csv", folder)
    events = csv_rows(ratings, lambda row: (int(row["userId"]), int(row["timestamp"]), names[row["movieId"]]))
    return interactions_from("movies", events, seed)


def lastfm(folder: str | Path | None = None, seed: int = 0) -> Interactions:
    """An artist counts from the day a user first tagged it."""
    artists = data_file("lastfm_hetrec/artists.dat", folder)
    rows = parsed_lines(artists, lambda line: line.split("\t"), header=True)
    names = {row[0]: row[1] for row in rows}

    def tag(line: str) -> tuple[int, int, str]:
        user, artist, _, day, month, year = line.split()
        return int(user), (int(year) * 100 + int(month)) * 100 + int(day), artist

    tags = parsed_lines(data_file("lastfm_hetrec/user_taggedartists.dat", folder), tag, header=True)
    events = [(user, day, names[artist]) for user, day, artist in tags if artist in names]
    return interactions_from("music", events, seed)


def games(folder: str | Path | None = None, seed: int = 0) -> Interactions:
    """Amazon Games as LLMRank ships it: histories and targets, oldest first."""
    items = data_file("amazon_games_llmrank/Games-6k.item", folder)
    rows = parsed_lines(items, lambda line: line.split("\t"), header=True)
    names = {row[0]: row[1] for row in rows if len(row) > 1}

    def bought(line: str) -> tuple[int, list[str]]:
        user, history, target = line.split("\t")
        return int(user), [*history.split(), target]

    users = parsed_lines(data_file("amazon_games_llmrank/Games-6k.test.inter", folder), bought, header=True)
    events = [(u, time, names[item]) for u, bag in users for time, item in enumerate(bag) if item in names]
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
    data: Interactions, split: Split, sampler: Sampler, *, limit: int | None = None
) -> list[RankingExample]:
    """First 20 items → the 21st among 19 negatives, for every user of the split who has 21."""
    users = {"train": data.train_users, "validation": data.validation_users, "test": data.test_users}[split]
    cases = []
    for user in sorted(users):
        items = data.histories[user]
        if len(items) <= HISTORY:
            continue
        rng = np.random.default_rng([data.seed, user, sampler == "popular"])
        pool = [items[HISTORY], *data.negatives(items, 19, sampler, rng)]
        order = rng.permutation(len(pool))
        cases.append(
            RankingExample(
                task="recommendation",
                query=[data.titles[item] for item in items[:HISTORY]],
                instruction=None,
                candidates=[data.titles[pool[i]] for i in order],
                relevance=[float(i == 0) for i in order],
                id=f"{data.name}-{user}",
            )
        )
        if limit is not None and len(cases) == limit:
            break
    return cases


INTERACTIONS: dict[str, Callable[[str | Path | None], Interactions]] = {
    "rec-movie": movielens,
    "rec-music": lastfm,
    "rec-game": games,
}
"""Task → the reader of its histories."""
