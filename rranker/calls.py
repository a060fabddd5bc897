"""The ways to call a ranker: at once, streamed, many together; each of them also async, on the same core."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack, cast, get_args, overload

from .batches import Update, play_requests
from .choices import one_of
from .collect import acollect, collect
from .processes import check_process
from .request import CandidateLike, QueryLike, Request, batch_requests, first_wrong, make_request
from .scorers import Scorer
from .scorers.chunked import ChunkedScorer
from .scorers.consistent import ConsistentScorer
from .scorers.replicas import Replicas
from .scorers.windowed import WindowedScorer
from .settings import BatchSettings, OnError, RankSettings, RequestSettings, check_setting_names
from .streaming import AsyncRankingStream, RankingStream
from .types import Ranking
from .workers import Workers

CLOSED = "this Ranker is closed; make a new one"
_THREADS = 32
"""For async calls of scorers that do not share steps: so many of them wait for answers at the same time."""


class Calls:
    """Rankings by one scorer; `rranker.Ranker` adds how a model becomes one.

    `method` (a known one, or None), `relevance` and `thoughts` (`reasoning` and what belongs to it, by name) are those
    of calls that do not say. Raises ValueError where a scorer that cannot think is to.
    """

    def __init__(
        self, scorer: Scorer, method: str | None, relevance: bool | None, thoughts: Mapping[str, Any]
    ) -> None:
        self._scorer, self._method, self._relevance = scorer, method, relevance
        if thoughts.get("reasoning"):
            _check_thinks(scorer)
        self._thoughts = thoughts if _thinks(scorer) else {}
        # Where every step serves all that is in flight, one thread that steps is enough for any number of calls.
        self._player = scorer.each(_for_any_list) if isinstance(scorer, Replicas) else _for_any_list(scorer)
        self._workers = Workers(1 if self._player.shares_steps else _THREADS)

    def rank(
        self, query: QueryLike, candidates: Iterable[CandidateLike], **settings: Unpack[RankSettings]
    ) -> Ranking:
        """Ranks the candidates for one query, best first; always all of them.

        Args:
            query: a question, or a history as a list of titles, oldest first.
            candidates: strings, dicts (`text`, optional `id`, the rest is kept as metadata) or Candidates, or a
                table (pandas, polars, Arrow) with a column `text`; see `as_candidates`. Those with the same text
                are one to the model: they share a score, and keep their input order.
            settings: by keyword: `template`, `instruction`, `top_k`, `method`, `relevance`, `threshold` and what else
                stands in `RankSettings` (rranker/settings.py), which says what each does.

        Raises:
            TypeError, ValueError: wrong input; the message says what to pass.
            CapacityError: the query and two candidates need more than `kv_cache_tokens`.
            FloatingPointError: the model's logits are not finite.
            RuntimeError: the Ranker is closed, or was loaded before this process was forked.
        """
        return _only(collect(self._play_one(query, candidates, settings), 1))

    def stream(
        self, query: QueryLike, candidates: Iterable[CandidateLike], **settings: Unpack[RankSettings]
    ) -> RankingStream:
        """As `rank`, round by round: yields each `Round` when it is decided; then the stream has the `ranking`.

        Raises what `rank` raises, what comes up during the work from the stream.
        """
        return RankingStream(self._play_one(query, candidates, settings))

    async def arank(
        self, query: QueryLike, candidates: Iterable[CandidateLike], **settings: Unpack[RankSettings]
    ) -> Ranking:
        """The async twin of `rank`. Calls at the same time share forward passes; cancelling one ends its work."""
        return _only(await acollect(self._workers.read(self._play_one(query, candidates, settings)), 1))

    def astream(
        self, query: QueryLike, candidates: Iterable[CandidateLike], **settings: Unpack[RankSettings]
    ) -> AsyncRankingStream:
        """The async twin of `stream`."""
        return AsyncRankingStream(self._workers.read(self._play_one(query, candidates, settings)))

    @overload
    def rank_batch(
        self,
        queries: Iterable[Any],
        *,
        on_error: Literal["raise"] = "raise",
        **settings: Unpack[BatchSettings],
    ) -> list[Ranking]: ...
    @overload
    def rank_batch(
        self, queries: Iterable[Any], *, on_error: OnError, **settings: Unpack[BatchSettings]
    ) -> list[Ranking] | list[Ranking | Exception]: ...
    def rank_batch(
        self, queries: Iterable[Any], *, on_error: OnError = "raise", **settings: Unpack[BatchSettings]
    ) -> list[Ranking] | list[Ranking | Exception]:
        """Ranks many queries, of any sizes, together; the rankings come in the queries' order.

        `queries` holds `(query, candidates)` pairs, or dicts with `query`, `candidates` and optionally `template`,
        `instruction` and `top_k`, which go before the settings of the same name, and `id` (or `qid`, `query_id`),
        which is kept as `Ranking.query_id`. `progress` (True unless it is given) shows a bar.

        With `on_error="return"` a query that cannot be ranked has its error in its place, and all others their
        rankings; a wrong setting of the call is raised. With `"raise"` the first error is raised, naming its query:
        whatever can be checked is checked before any work is done, and one that comes up during the work ends it.

        Raises what `rank` raises.
        """
        progress = settings.pop("progress", True)
        updates, total = self._play_batch(queries, on_error, settings)
        return collect(updates, total, progress=progress)

    @overload
    async def arank_batch(
        self,
        queries: Iterable[Any],
        *,
        on_error: Literal["raise"] = "raise",
        **settings: Unpack[BatchSettings],
    ) -> list[Ranking]: ...
    @overload
    async def arank_batch(
        self, queries: Iterable[Any], *, on_error: OnError, **settings: Unpack[BatchSettings]
    ) -> list[Ranking] | list[Ranking | Exception]: ...
    async def arank_batch(
        self, queries: Iterable[Any], *, on_error: OnError = "raise", **settings: Unpack[BatchSettings]
    ) -> list[Ranking] | list[Ranking | Exception]:
        """The async twin of `rank_batch`."""
        progress = settings.pop("progress", True)
        updates, total = self._play_batch(queries, on_error, settings)
        return await acollect(self._workers.read(updates), total, progress=progress)

    def _play_one(
        self, query: QueryLike, candidates: Iterable[CandidateLike], settings: RankSettings
    ) -> Generator[Update | None]:
        method, wanted = self._parted(settings)
        return self._play([make_request(query, candidates, **wanted)], method, "raise", named=False)

    def _play_batch(
        self, queries: Iterable[Any], on_error: OnError, settings: RankSettings
    ) -> tuple[Generator[Update | None], int]:
        one_of(on_error, "on_error", get_args(OnError))
        method, wanted = self._parted(settings)
        make_request("any", ["a", "b"], **wanted)  # a wrong setting of the call is no query's error
        requests = batch_requests(queries, **wanted)
        if on_error == "raise" and (wrong := first_wrong(requests)) is not None:
            raise wrong
        return self._play(requests, method, on_error, named=True), len(requests)

    def _parted(self, settings: RankSettings) -> tuple[str | None, RequestSettings]:
        """The method, and what belongs to the query, with this Ranker's own where the call says nothing.

        Raises TypeError for a setting that does not exist.
        """
        of_query: dict[str, Any] = dict(settings)
        check_setting_names(of_query)
        method = of_query.pop("method", None)
        if of_query.get("relevance") is None and of_query.get("threshold") is None:
            of_query["relevance"] = self._relevance
        self._add_thoughts(of_query)
        return self._method if method is None else method, cast(RequestSettings, of_query)

    def _add_thoughts(self, of_query: dict[str, Any]) -> None:
        """This Ranker's own settings of thoughts, where the call leaves them open.

        Raises ValueError for a call that asks a scorer to think that cannot.
        """
        if of_query.get("reasoning") is None:
            of_query["reasoning"] = self._thoughts.get("reasoning")
        if not of_query["reasoning"]:
            return
        _check_thinks(self._scorer)
        for name, value in self._thoughts.items():
            if of_query.get(name) is None:
                of_query[name] = value

    def _play(
        self, requests: Sequence[Request | Exception], method: str | None, on_error: OnError, *, named: bool
    ) -> Generator[Update | None]:
        check_process()
        if self._scorer.closed:
            raise RuntimeError(CLOSED)
        return play_requests(self._player, requests, method, on_error, named=named)


def _thinks(scorer: Scorer) -> bool:
    """Whether its models may be asked to think; those written before requests could say so do not."""
    return bool(getattr(scorer, "thinks", False))


def _check_thinks(scorer: Scorer) -> None:
    if not _thinks(scorer):
        raise ValueError(
            "reasoning is for language models that run here, and this Ranker was given a scorer: leave it out"
        )


def _for_any_list(scorer: Scorer) -> ConsistentScorer:
    """A scorer that takes lists and texts of any length, and several layouts."""
    return ConsistentScorer(ChunkedScorer(WindowedScorer(scorer)))


def _only(results: list[Ranking | Exception]) -> Ranking:
    (ranking,) = results
    assert isinstance(ranking, Ranking), "errors of a single query are raised"
    return ranking
