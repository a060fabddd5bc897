"""What every adapter does alike: optional imports, settings, and the scores that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Unpack

import numpy as np

from ..ranker import Ranker
from ..settings import RankSettings
from ..types import RankedCandidate, Ranking

_LEAST = np.finfo(np.float32).tiny


@contextmanager
def extra(name: str, package: str) -> Iterator[None]:
    """Around imports of an optional package: one that is missing or too old is an ImportError with the cure."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f"this needs {package}: pip install 'rranker[{name}]' ({error})") from error


class Adapter:
    """A Ranker, and the settings of its calls.

    `ranker` None is one of the bundled model. `settings` are those of `Ranker.rank`; the template is `passage` where
    they do not say. They are not checked before the first call.
    """

    def __init__(self, ranker: Ranker | None = None, **settings: Unpack[RankSettings]) -> None:
        self.ranker = Ranker() if ranker is None else ranker
        self.settings: RankSettings = {"template": "passage", **settings}


def falling_scores(ranking: Ranking) -> list[float]:
    """A score for each place of a ranking, in [0, 1], that falls strictly with rank, in single precision too.

    It is the candidate's relevance where the ranking has it, else its score (`Ranking`). Those that would tie, or tie
    once they are rounded to float32, are put one step of float32 apart: whoever sorts by these numbers, in any
    precision, gets the ranking back.
    """
    scores = list[np.float32]()
    for place, item in enumerate(ranking):
        score = np.float32(item.score if item.relevance is None else item.relevance)
        if scores:
            score = min(score, np.nextafter(scores[-1], np.float32(-1)))
        scores.append(max(score, np.float32(len(ranking) - place) * _LEAST))
    return [float(score) for score in scores]


def best(ranking: Ranking, k: int | None = None) -> list[tuple[RankedCandidate, float]]:
    """Those above the ranking's threshold, at most `k`, best first, each with its falling score."""
    return list(zip(ranking.kept, falling_scores(ranking), strict=False))[:k]


def model_name(ranker: Any) -> str:
    """What a Ranker ranks with, for reports."""
    try:
        return str(ranker.model.name)
    except AttributeError:  # a scorer of the caller's own
        return "rranker"
