"""Streams end in time: the rounds of one share a limit, and who does not read gives the place back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from rranker import Ranker
from rranker.scorers.text import TextQuestion, TextScorer

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from rranker.server.app import create_app
from rranker.server.limits import Limits

Send = Callable[[dict[str, Any]], Awaitable[None]]
STREAM = {"query": "tea", "candidates": list("abcdefgh"), "method": "iranker", "stream": True}


class Steady(TextScorer):
    """Takes its time for each round."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def complete(self, questions: Sequence[TextQuestion]) -> list[str]:
        time.sleep(self.seconds)
        return ["1" for _ in questions]


async def call(app: Any, path: str, body: Any, send: Send) -> None:
    """One request as a server hands it over. Its client stays."""
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)


class Reader:
    """Takes messages as they come, until there are `most`; then it reads no more."""

    def __init__(self, most: int = 1000) -> None:
        self.messages, self.most = list[dict[str, Any]](), most

    async def send(self, message: dict[str, Any]) -> None:
        await (asyncio.Event().wait() if len(self.messages) == self.most else asyncio.sleep(0))
        self.messages.append(message)

    @property
    def events(self) -> list[tuple[str, Any]]:
        text = b"".join(message.get("body", b"") for message in self.messages).decode()
        blocks = [block.split("\n") for block in text.split("\n\n") if block]
        return [(kind.removeprefix("event: "), json.loads(data[6:])) for kind, data in blocks]


def test_the_rounds_of_a_stream_share_one_limit() -> None:
    reader = Reader()
    with Ranker(scorer=Steady(0.4)) as ranker:
        app = create_app(ranker, limits=Limits(seconds=1.5))
        asyncio.run(call(app, "/v1/rank", STREAM, reader.send))
    *rounds, (kind, last) = reader.events
    assert {name for name, _ in rounds} == {"round"}
    assert 1 <= len(rounds) <= 3
    assert (kind, last) == ("error", {"message": "not done after 1.5 seconds", "status": 503})
    assert reader.messages[-1] == {"type": "http.response.body", "body": b""}


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_who_does_not_read_gives_the_place_back(
    taken: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rranker.server.rank.GRACE", 0.1)
    caplog.set_level("INFO", "rranker.server")

    async def played(app: Any) -> int:
        stalled, later = Reader(taken), Reader()
        first = asyncio.create_task(call(app, "/v1/rank", STREAM, stalled.send))
        await asyncio.wait([first], timeout=20)
        assert first.done(), "it waits for its reader for ever"
        first.result()
        assert len(stalled.messages) == taken
        await call(app, "/v1/rank", {**STREAM, "stream": False}, later.send)
        return int(later.messages[0]["status"])

    with Ranker(scorer=Steady(0)) as ranker:
        app = create_app(ranker, limits=Limits(requests=1, seconds=2))
        assert asyncio.run(played(app)) == 200
    assert [record.__dict__["facts"].get("unread") for record in caplog.records] == [True, None]
