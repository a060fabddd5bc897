"""`/v1/rank`, all that a ranking says, at once or round by round; and vLLM's `/score`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..json_values import json_value
from ..types import Ranking, Round
from .documents import side_of
from .errors import BROKEN, AsciiJSON, Refusal
from .rerank import TEMPLATE, facts, usage
from .schemas import Rank, Score
from .service import Service
from .telemetry import log_failure

GRACE = 1.0
"""Seconds after the deadline of a stream for its last event, which says that its time is over."""


def rank_routes(service: Service) -> APIRouter:
    """`/v1/rank`, `/score`, `/v1/score`."""
    router = APIRouter()

    @router.post("/v1/rank")
    async def rank(request: Request, body: Rank) -> Any:
        """A ranking with its rounds, stats and repairs. `stream`: rounds as server-sent events, then the ranking."""
        settings = body.model_dump(exclude={"query", "candidates", "stream"})
        if not body.stream:
            ranking = await service.rank(request, body.query, body.candidates, **settings)
            # Beside the event loop, for a thousand rounds take their time; FastAPI would walk them all once more.
            return await asyncio.to_thread(lambda: AsciiJSON(_whole(service, request, ranking)))
        events = _events(service, request, body, settings)
        # Whatever is wrong with the request comes up here, while there is still a status to send.
        first = await anext(events)
        return EventStream(first, events, request.state.deadline)

    @router.post("/score")
    @router.post("/v1/score")
    async def score(request: Request, body: Score) -> dict[str, Any]:
        """The relevance of each pair of texts, alone."""
        pairs = _pairs(body)
        rankings = await service.rank_all(
            request, [(one, [other]) for one, other in pairs], template=TEMPLATE, relevance=True
        )
        request.state.facts = {"pairs": len(pairs)}
        return {
            "id": request.state.request_id,
            "object": "list",
            "created": int(time.time()),
            "model": service.name,
            "data": [
                {"index": place, "object": "score", "score": ranking[0].relevance}
                for place, ranking in enumerate(rankings)
            ],
            "usage": usage(rankings),
        }

    return router


class EventStream(Response):
    """Server-sent events. However it ends, what makes them is closed at once: nobody waits for the collector.

    A client that has not read them all shortly after the `deadline` (the event loop's time) is given up.
    """

    media_type = "text/event-stream"

    def __init__(self, first: bytes, more: AsyncGenerator[bytes], deadline: float) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._first, self._more, self._deadline = first, more, deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        async with aclosing(self._more) as more:
            try:
                async with asyncio.timeout_at(self._deadline + GRACE) as limit:
                    await self._send(more, send)
            except TimeoutError:
                if not limit.expired():
                    raise
                # Nothing can be said to who does not read; the answer stays without its end, and the log says why.
                scope["state"]["facts"] = {**scope["state"].get("facts", {}), "unread": True}

    async def _send(self, more: AsyncGenerator[bytes], send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for event in more:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _events(
    service: Service, request: Request, body: Rank, settings: dict[str, Any]
) -> AsyncGenerator[bytes]:
    begun = False
    try:
        async with aclosing(service.stream(request, body.query, body.candidates, **settings)) as steps:
            async for step in steps:
                if isinstance(step, Round):
                    yield _event("round", json_value(step))
                else:
                    request.state.facts = facts(step)
                    yield await asyncio.to_thread(_last_event, service, request, step)
                begun = True
    except Exception as error:
        if not begun:
            raise
        if not isinstance(error, Refusal):
            log_failure(request.state.request_id, error)
            error = Refusal(500, BROKEN)
        request.state.status = error.status
        yield _event("error", {"message": str(error), "status": error.status})


def _event(kind: str, data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _last_event(service: Service, request: Request, ranking: Ranking) -> bytes:
    return _event("ranking", _whole(service, request, ranking))


def _whole(service: Service, request: Request, ranking: Ranking) -> dict[str, Any]:
    request.state.facts = facts(ranking)
    try:
        whole = ranking.to_dict()
    except ValueError as error:  # what a candidate holds besides its text is nested too deeply
        raise Refusal(400, str(error)) from error
    return {"id": request.state.request_id, "model": service.name, **whole}


def _pairs(body: Score) -> list[tuple[str, str]]:
    """One text with each of several, or texts side by side. Raises Refusal for anything else."""
    named = (("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2"))
    sides = (tuple((name, getattr(body, name)) for name in names) for names in named)
    given = next((pair for pair in sides if all(side is not None for _, side in pair)), None)
    if given is None:
        raise Refusal(
            400, "a score takes text_1 and text_2, queries and documents or items, or data_1 and data_2"
        )
    firsts, seconds = (side_of(side, name) for name, side in given)
    if len(firsts) == 1:
        firsts = firsts * len(seconds)
    if not firsts or len(firsts) != len(seconds):
        raise Refusal(
            400,
            f"{len(firsts)} texts and {len(seconds)} are no pairs: give one and any number, or as many of both",
        )
    return list(zip(firsts, seconds, strict=True))
