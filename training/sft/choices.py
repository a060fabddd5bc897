"""Who chose what: the histories that item factors are fitted to, and the lists that they are weighed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rranker.data import INTERACTIONS, RankingExample, own_examples
from rranker.data.recommendation import recommendation_cases


@dataclass(frozen=True)
class Choices:
    """What a space is fitted to: histories of item texts, and lists of others that it is weighed on.

    `held_out` are those others' histories, whole: nothing is fitted to them before all is chosen.
    """

    name: str
    histories: Sequence[Sequence[str]]
    cases: Sequence[RankingExample]
    held_out: Sequence[Sequence[str]]


def public_histories(task: str) -> Choices:
    """Of the training users of `rec-movie`, `rec-music` or `rec-game`; lists of its validation users."""
    found = INTERACTIONS[task](None)
    histories, others = (
        [[found.titles[item] for item in found.histories[user]] for user in users]
        for users in (found.train_users, sorted(found.validation_users))
    )
    uniform, popular = (recommendation_cases(found, "validation", s) for s in ("uniform", "popular"))
    return Choices(task, histories, [*uniform, *popular], others)


def own_histories(files: Sequence[Path], validation: Path | None) -> Choices:
    """Of a user's own rows whose query is a list: somebody's history, and `chosen_of` the candidates.

    Raises what `own_examples` raises, and ValueError where no history is left on either side.
    """
    rows, held_out = (
        [row for row in part if isinstance(row.query, list)] for part in own_examples(files, validation)
    )
    if not rows or not held_out:
        raise ValueError(
            f"{len(rows)} rows with a history as their query train and {len(held_out)} are held out: factors are "
            "fitted to the first and weighed on the second, so give more rows, or a --validation file"
        )
    histories, others = ([[*row.query, *chosen_of(row)] for row in part] for part in (rows, held_out))
    return Choices("own", histories, held_out, others)


def chosen_of(row: RankingExample) -> list[str]:
    """The candidates that somebody chose: those above the least relevant, as only differences count."""
    least = min(row.relevance)
    return [text for text, relevance in zip(row.candidates, row.relevance, strict=True) if relevance > least]
