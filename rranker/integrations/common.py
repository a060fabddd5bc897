"""What every adapter does alike: optional imports, settings, and the scores that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Unpack

from ..falling import strictly_falling
from ..ranker import Ranker, check_settings
from ..settings import RankSettings
from ..types import RankedCandidate, Ranking


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
    they do not say. Raises TypeError or ValueError for those that every call would refuse.
    """

    def __init__(self, ranker: Ranker | None = None, **settings: Unpack[RankSettings]) -> None:
        check_settings(settings)  # before a model is loaded
        self.ranker = Ranker() if ranker is None else ranker
        self.settings: RankSettings = {"template": "passage", **settings}


class CheckedFields:
    """Before a pydantic model whose fields are settings of `Ranker.rank`: they are checked when it is made."""

    def model_post_init(self, context: Any, /) -> None:
        """Raises what every call with these settings would."""
        super().model_post_init(context)  # type: ignore[misc]
        check_settings(self._settings())

    def _settings(self: Any) -> Any:
        fields = {name: getattr(self, name) for name in ("template", "instruction", "method", "threshold")}
        return {"top_k": self.top_n, **fields, **self.settings}


def falling_scores(ranking: Ranking) -> list[float]:
    """A score for each place of a ranking, in [0, 1], that falls strictly with rank (`strictly_falling`).

    It is the candidate's relevance where the ranking has it, else its score (`Ranking`).
    """
    return strictly_falling([item.score if item.relevance is None else item.relevance for item in ranking])


def best(ranking: Ranking, k: int | None = None) -> list[tuple[RankedCandidate, float]]:
    """Those above the ranking's threshold, at most `k`, best first, each with its falling score."""
    return list(zip(ranking.kept, falling_scores(ranking), strict=False))[:k]


def model_name(ranker: Any) -> str:
    """What a Ranker ranks with, for reports."""
    try:
        return str(ranker.model.name)
    except AttributeError:  # a scorer of the caller's own
        return "rranker"
