"""`rranker.rank`, and its streamed and async twins: one call, with the model kept in memory for the next."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from typing import Any, Unpack

from .engine.loading.arguments import as_source
from .processes import check_process
from .ranker import Ranker
from .request import CandidateLike, QueryLike
from .settings import AllSettings, RankSettings
from .streaming import RankingStream
from .types import Ranking

_KEPT = 2
_OBJECTS = ("scorer", "tokenizer")  # two may look alike in words; the Ranker that is kept keeps them alive
_rankers: OrderedDict[tuple[Any, ...], Ranker] = OrderedDict()
_loading, _kept = Lock(), Lock()  # a load takes seconds: whoever uses what is loaded does not wait for it


def rank(
    query: QueryLike,
    candidates: Iterable[CandidateLike],
    *,
    model: str | Path | None = None,
    **settings: Unpack[AllSettings],
) -> Ranking:
    """Ranks the candidates for one query, best first; always all of them.

    `model` and `settings` are those of `Ranker` and of `Ranker.rank`. The two Rankers used last stay loaded; make a
    `Ranker` of your own to rank batches or to decide when memory is freed. Safe to call from many threads: the first
    ones wait for one load. Raises what `Ranker` and `Ranker.rank` raise.
    """
    load, call = _parted(settings)
    return _ranker(model, load).rank(query, candidates, **call)


def stream(
    query: QueryLike,
    candidates: Iterable[CandidateLike],
    *,
    model: str | Path | None = None,
    **settings: Unpack[AllSettings],
) -> RankingStream:
    """As `rank`, round by round: see `Ranker.stream`."""
    load, call = _parted(settings)
    return _ranker(model, load).stream(query, candidates, **call)


async def arank(
    query: QueryLike,
    candidates: Iterable[CandidateLike],
    *,
    model: str | Path | None = None,
    **settings: Unpack[AllSettings],
) -> Ranking:
    """The async twin of `rank`: see `Ranker.arank`. A model is loaded in a thread."""
    load, call = _parted(settings)
    ranker = await asyncio.to_thread(_ranker, model, load)
    return await ranker.arank(query, candidates, **call)


def _parted(settings: AllSettings) -> tuple[dict[str, Any], RankSettings]:
    """What a Ranker is made with, and what a call of it takes. Raises TypeError for a misspelt setting of a call."""
    load, call = dict(settings), RankSettings()
    for name in load.keys() - AllSettings.__annotations__.keys():
        near = get_close_matches(name, AllSettings.__annotations__, 1)
        if near and near[0] in RankSettings.__annotations__:
            raise TypeError(f"there is no argument {name!r}; did you mean {near[0]!r}?")
    for name in RankSettings.__annotations__:
        if name in load:
            call[name] = load.pop(name)  # type: ignore[literal-required]
    return load, call


def _ranker(model: str | Path | None, settings: dict[str, Any]) -> Ranker:
    check_process()  # before the locks, which may have been held when this process was forked
    source = as_source(model)
    source = None if source is None else str(source)
    told = {name: id(value) if name in _OBJECTS else repr(value) for name, value in settings.items()}
    key = _identity(source), *sorted(told.items())
    if (ready := _loaded(key)) is not None:
        return ready
    with _loading:
        if (ready := _loaded(key)) is not None:  # by whoever held the lock before
            return ready
        ranker = Ranker(source, **settings)
        with _kept:
            _rankers[key] = ranker
            while len(_rankers) > _KEPT:
                _rankers.popitem(last=False)
        return ranker


def _identity(source: str | None) -> tuple[Any, ...]:
    """What tells one model from another: its name, or where its files are and when each was written."""
    path = None if source is None else Path(source)
    if path is None or not path.exists():
        return (source,)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    facts = [(file.name, file.stat()) for file in files]
    return (str(path.resolve()), *((name, f.st_mtime_ns, f.st_size) for name, f in facts))


def _loaded(key: tuple[Any, ...]) -> Ranker | None:
    """The Ranker of these settings, if it is kept: then the one used last."""
    with _kept:
        if key in _rankers:
            _rankers.move_to_end(key)
        return _rankers.get(key)
