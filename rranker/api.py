"""`rranker.rank`: one call, with the model kept in memory for the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

from .engine.loading.arguments import as_source
from .processes import check_process
from .ranker import Ranker
from .request import CandidateLike, QueryLike
from .types import Ranking

_KEPT = 2
_rankers: OrderedDict[tuple[Any, ...], Ranker] = OrderedDict()
_loading, _kept = Lock(), Lock()  # a load takes seconds: whoever uses what is loaded does not wait for it


def rank(  # noqa: PLR0913 (settings of a call, by keyword)
    query: QueryLike,
    candidates: Iterable[CandidateLike],
    *,
    model: str | Path | None = None,
    method: str | None = None,
    template: str | None = None,
    task: str | None = None,
    instruction: str | None = None,
    top_k: int | None = None,
    relevance: bool | None = None,
    threshold: float | None = None,
    **settings: Any,
) -> Ranking:
    """Ranks the candidates for one query, best first; always all of them.

    `model` and `settings` are those of `Ranker`, the rest those of `Ranker.rank`. The two Rankers used last stay
    loaded; make a `Ranker` of your own to rank batches or to decide when memory is freed. Safe to call from many
    threads: the first ones wait for one load. Raises what `Ranker` and `Ranker.rank` raise.
    """
    source = as_source(model)
    ranker = _ranker(None if source is None else str(source), settings)
    return ranker.rank(
        query,
        candidates,
        template=template,
        task=task,
        instruction=instruction,
        top_k=top_k,
        method=method,
        relevance=relevance,
        threshold=threshold,
    )


def _ranker(model: str | None, settings: dict[str, Any]) -> Ranker:
    check_process()  # before the locks, which may have been held when this process was forked
    key = model, *sorted((name, repr(value)) for name, value in settings.items())
    if (ready := _loaded(key)) is not None:
        return ready
    with _loading:
        if (ready := _loaded(key)) is not None:  # by whoever held the lock before
            return ready
        ranker = Ranker(model, **settings)
        with _kept:
            _rankers[key] = ranker
            while len(_rankers) > _KEPT:
                _rankers.popitem(last=False)
        return ranker


def _loaded(key: tuple[Any, ...]) -> Ranker | None:
    """The Ranker of these settings, if it is kept: then the one used last."""
    with _kept:
        if key in _rankers:
            _rankers.move_to_end(key)
        return _rankers.get(key)
