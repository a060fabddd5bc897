"""Rankings for clients: admitted while there is room, made in shared passes, given up when the client leaves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from ..candidates import CandidateLike
from ..request import QueryLike
from ..scorers.remote import RemoteError
from ..types import Ranking, Round
from .errors import Refusal
from .limits import Limits
from .telemetry import Telemetry, log_failure

if TYPE_CHECKING:
    from ..ranker import Ranker

T = TypeVar("T")
_BUSY = (429, 503)
"""What a remote model answers that has too much to do."""


class Service:
    """A Ranker behind bounds. Whatever runs at the same time shares the engine's steps (continuous batching).

    `name` is what clients are told the model is called.
    """

    def __init__(self, ranker: Ranker, limits: Limits, name: str) -> None:
        self.ranker, self.limits, self.name = ranker, limits, name
        self.telemetry = Telemetry()
        self._running = 0
        self._usual_seconds = 1.0

    @property
    def has_room(self) -> bool:
        """Whether one more request would be accepted."""
        return self._running < self.limits.requests

    async def rank(
        self,
        client: Request,
        query: QueryLike,
        candidates: Sequence[CandidateLike],
        prepare: Callable[[], Sequence[CandidateLike]] | None = None,
        **settings: Any,
    ) -> Ranking:
        """A ranking, as `Ranker.rank` gives it. Raises Refusal.

        `prepare` makes of the candidates those to rank, in a thread; it counts as work, and is bounded as all is.
        """
        self._check(len(candidates), settings)

        async def work() -> Ranking:
            made = candidates if prepare is None else await asyncio.to_thread(prepare)
            return await self.ranker.arank(query, made, **settings)

        with self._admitted(client):
            ranking = await self._while_waited_for(client, work())
        self.telemetry.ranked(ranking)
        return ranking

    async def rank_all(
        self, client: Request, queries: Sequence[tuple[QueryLike, Sequence[CandidateLike]]], **settings: Any
    ) -> list[Ranking]:
        """A ranking for each of several queries of one request. Raises Refusal."""
        self._check(sum(len(candidates) for _, candidates in queries), settings)
        with self._admitted(client):
            work = self.ranker.arank_batch(list(queries), progress=False, **settings)
            rankings: list[Ranking] = await self._while_waited_for(client, work)
        for ranking in rankings:
            self.telemetry.ranked(ranking)
        return rankings

    async def stream(
        self, client: Request, query: QueryLike, candidates: Sequence[CandidateLike], **settings: Any
    ) -> AsyncGenerator[Round | Ranking]:
        """Rounds as they are decided, then the ranking. Raises Refusal, in the middle too.

        It is in flight until it ends or is closed: `client.state.deadline` says by when its reader has to be done.
        """
        self._check(len(candidates), settings)
        with self._admitted(client):
            try:
                stream = self.ranker.astream(query, candidates, **settings)
            except (ValueError, TypeError) as error:
                raise Refusal(400, str(error)) from error
            async with stream as rounds:
                while (played := await self._while_waited_for(client, _next(rounds))) is not None:
                    yield played
                self.telemetry.ranked(rounds.ranking)
                yield rounds.ranking

    def _check(self, candidates: int, settings: Mapping[str, Any]) -> None:
        layouts = settings.get("self_consistency") or 1
        if candidates * layouts > self.limits.candidates:
            times = f", {layouts} times," if layouts > 1 else ""
            raise Refusal(
                413, f"{candidates} candidates{times} are too many: a request takes {self.limits.candidates}"
            )

    @contextmanager
    def _admitted(self, client: Request) -> Iterator[None]:
        if not self.has_room:
            wait = max(1, math.ceil(self._usual_seconds))
            raise Refusal(429, "too many requests are waiting: come again", wait)
        clock = asyncio.get_running_loop().time
        began = clock()
        client.state.deadline = began + self.limits.seconds
        self._running += 1
        self.telemetry.in_flight.inc()
        try:
            yield
        finally:
            self._running -= 1
            self.telemetry.in_flight.dec()
            self._usual_seconds += 0.1 * (clock() - began - self._usual_seconds)

    async def _while_waited_for(self, client: Request, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives, unless its time is over or nobody waits for it any more: then it is cancelled.

        Its slots are free when the step that it is in the middle of ends.
        """
        remaining = client.state.deadline - asyncio.get_running_loop().time()
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_hang_up(client))
        try:
            done = set[asyncio.Future[Any]]()
            if remaining > 0:  # else not even a round that is there already: its reader may be slow for ever
                done, _ = await asyncio.wait(
                    {task, gone}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED
                )
            if task in done:
                return _result(task, client)
            if gone in done:
                self.telemetry.hang_ups.inc()
                raise Refusal(499, "the client has left")
            raise Refusal(503, f"not done after {self.limits.seconds:g} seconds", 1)
        finally:
            for pending in (task, gone):
                pending.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)


async def _next(rounds: AsyncIterator[Round]) -> Round | None:
    return await anext(rounds, None)


async def _hang_up(client: Request) -> None:
    """Returns when the client has closed its connection; its body has been read already."""
    while (await client.receive())["type"] != "http.disconnect":
        pass


def _result(task: asyncio.Future[T], client: Request) -> T:
    """Its result. What the caller or a remote model did wrong becomes a Refusal; all else is raised as it is."""
    error = task.exception()
    if isinstance(error, RemoteError):
        log_failure(client.state.request_id, error, upstream_status=error.status)
        if error.status in _BUSY:
            raise Refusal(503, "the model behind this server is busy: come again", 1) from error
        raise Refusal(502, "the model behind this server did not answer; the log says how") from error
    if isinstance(error, ValueError | TypeError):
        raise Refusal(400, str(error)) from error
    return task.result()
