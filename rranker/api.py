"""`rranker.rank`: one call, with the model kept in memory for the next."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from .ranker import Method, Ranker
from .request import CandidateLike, QueryLike
from .types import Ranking


def rank(
    query: QueryLike,
    candidates: Iterable[CandidateLike],
    *,
    model: str | Path | None = None,
    method: Method = "iranker",
    task: str | None = None,
    instruction: str | None = None,
    top_k: int | None = None,
    **settings: Any,
) -> Ranking:
    """Ranks the candidates for one query, best first; always all of them.

    `model`, `method` and `settings` are those of `Ranker`, the rest those of `Ranker.rank`. The two Rankers used
    last stay loaded; make a `Ranker` of your own to rank batches or to decide when memory is freed.
    """
    ranker = _ranker(None if model is None else str(model), method, tuple(sorted(settings.items())))
    return ranker.rank(query, candidates, task=task, instruction=instruction, top_k=top_k)


@lru_cache(maxsize=2)
def _ranker(model: str | None, method: Method, settings: tuple[tuple[str, Any], ...]) -> Ranker:
    return Ranker(model, method=method, **dict(settings))
