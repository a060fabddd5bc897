"""What is said where something fails: to clients in the middle of an answer, to probes, and in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rranker import Ranker, Ranking
from rranker.scorers.remote import RemoteError
from rranker.scorers.text import TextQuestion, TextScorer

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from rranker.server.border import Border
from rranker.server.limits import Limits
from rranker.server.telemetry import Telemetry
from tests.server.conftest import Server, serving

STREAM = {"query": "SECRET", "candidates": list("abcd"), "method": "iranker", "stream": True}


class BreaksLater(TextScorer):
    """Answers once, then fails in a way that no client is to blame for."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = False

    def complete(self, questions: Sequence[TextQuestion]) -> list[str]:
        if self.answered:
            raise FloatingPointError(questions[0].request.query)
        self.answered = True
        return ["2" for _ in questions]


def test_a_stream_that_breaks_here_ends_with_an_error_that_is_counted_and_logged_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with Ranker(scorer=BreaksLater()) as ranker, serving(ranker) as server:
        answer = server.post("/v1/rank", STREAM)
        metrics = server.request("GET", "/metrics").body.decode()
    first, last = (block.split("\n") for block in answer.body.decode().split("\n\n") if block)
    assert first[0] == "event: round"
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: ")) == {
        "message": "something went wrong here; the log says where",
        "status": 500,
    }
    assert 'rranker_requests_total{path="/v1/rank",status="500"} 1.0' in metrics
    facts = [record.__dict__["facts"] for record in caplog.records if record.name == "rranker.server"]
    (broken,) = [fact for fact in facts if fact.get("type") == "FloatingPointError"]
    assert broken["id"] == answer.headers["x-request-id"]
    assert [fact["status"] for fact in facts if fact.get("path") == "/v1/rank"] == [500]
    assert "SECRET" not in caplog.text + json.dumps(facts)


class Refused(TextScorer):
    """Asks a model elsewhere, which answers with this status."""

    def __init__(self, status: int | None) -> None:
        super().__init__()
        self.status = status

    def complete(self, questions: Sequence[TextQuestion]) -> list[str]:
        raise RemoteError(f"{questions[0].request.query}: it said no", self.status)


@pytest.mark.parametrize(
    ("upstream", "status"), [(401, 502), (None, 502), (500, 502), (429, 503), (503, 503)]
)
def test_a_model_elsewhere_that_does_not_answer_is_told_from_a_fault_here(
    upstream: int | None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = {"query": "SECRET", "texts": list("abcd")}
    with Ranker(scorer=Refused(upstream)) as ranker, serving(ranker) as server:
        answer, streamed, tei = (
            server.post("/v1/rank", {**STREAM, "stream": False}),
            server.post("/v1/rank", STREAM),
            server.post("/rerank", body),
        )
    assert (answer.status, streamed.status, tei.status) == (status, status, 424 if status == 502 else 503)
    assert answer.json["error"]["type"] == "server_error"
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)
    facts = [record.__dict__["facts"] for record in caplog.records if record.name == "rranker.server"]
    assert [fact["upstream_status"] for fact in facts if fact.get("type") == "RemoteError"] == [upstream] * 3
    assert "SECRET" not in caplog.text + json.dumps(facts) + answer.body.decode()


def test_what_breaks_behind_the_beginning_of_an_answer_is_raised_without_its_words() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("SECRET")

    async def send(message: Any) -> None:
        pass

    border = Border(app, keys=(), limits=Limits(), telemetry=Telemetry(), paths=["/x"])
    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    with pytest.raises(RuntimeError, match="an answer broke off") as raised:
        asyncio.run(border(scope, None, send))  # type: ignore[arg-type]
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("stream", [False, True])
def test_others_are_answered_while_a_large_ranking_is_written(
    stream: bool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, answered, in_time = threading.Event(), threading.Event(), list[bool]()
    whole = Ranking.to_dict

    def slow(ranking: Ranking) -> dict[str, Any]:
        writing.set()
        in_time.append(answered.wait(10))
        return whole(ranking)

    monkeypatch.setattr(Ranking, "to_dict", slow)
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(server.post, "/v1/rank", {**STREAM, "stream": stream})
        assert writing.wait(20)
        assert server.request("GET", "/health").status == 200
        answered.set()
        assert large.result().status == 200
    assert in_time == [True]


@pytest.mark.parametrize("depth", [300, 800])
def test_a_candidate_that_is_nested_deeply_breaks_nothing(depth: int, server: Server) -> None:
    nested = "[" * depth + "]" * depth
    for stream in ("false", "true"):
        body = f'{{"query": "tea", "candidates": ["a", {{"text": "b", "x": {nested}}}], "stream": {stream}}}'
        answer = server.post("/v1/rank", body.encode())
        assert answer.status in (200, 400)
        assert answer.status == 200 or "nested too deeply" in answer.json["message"]
        assert b'"status": 500' not in answer.body


def test_probes_may_ask_for_the_head_alone(server: Server) -> None:
    for path in ("/", "/health", "/ready"):
        got, head = server.request("GET", path), server.request("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(("verb", "path", "status"), [("GET", "/v2/rerank", 405), ("POST", "/nowhere", 404)])
def test_a_path_or_method_that_is_not_there_is_said_to_be_the_client_s_error(
    verb: str, path: str, status: int, server: Server
) -> None:
    answer = server.request(verb, path, {})
    assert (answer.status, answer.json["error"]["type"]) == (status, "invalid_request_error")
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


def test_openapi_promises_no_error_of_a_shape_that_no_client_gets(server: Server) -> None:
    schema = server.request("GET", "/openapi.json").json
    asked = {path: verbs["post"]["responses"] for path, verbs in schema["paths"].items() if "post" in verbs}
    assert {"/v2/rerank", "/rerank", "/v1/rank", "/score"} <= set(asked)
    assert all(set(answers) == {"200", "4XX", "5XX"} for answers in asked.values())
    assert "HTTPValidationError" not in schema["components"]["schemas"]
