"""What a server takes on, and from whom; what becomes of clients that leave; what it says of its work."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rranker import Ranker
from rranker.scorers.text import TextQuestion, TextScorer
from rranker.server.limits import Limits, api_keys, check_exposure
from rranker.server.telemetry import JsonLines
from tests.server.conftest import Server, serving

BODY: dict[str, Any] = {"query": "tea", "documents": ["Tea is a drink.", "Bees dance."]}


class Slow(TextScorer):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def complete(self, questions: Sequence[TextQuestion]) -> list[str]:
        self.go.wait(20)
        return ["2" for _ in questions]


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit, "it did not come true"
        time.sleep(0.01)


@pytest.fixture
def slow() -> Iterator[Slow]:
    scorer = Slow()
    yield scorer
    scorer.go.set()


def open_request(server: Server, path: str = "/v2/rerank", body: Any = BODY) -> socket.socket:
    """A connection on which a whole request was sent; its answer is not read."""
    data = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)
    return connection


def in_flight(server: Server) -> float:
    return server.metric("rranker_requests_in_flight")


class Broken(TextScorer):
    """Fails in a way that no client is to blame for."""

    def complete(self, questions: Sequence[TextQuestion]) -> list[str]:
        raise FloatingPointError("this device broke")


def test_what_breaks_here_is_said_in_the_words_of_the_dialect() -> None:
    with Ranker(scorer=Broken()) as ranker, serving(ranker) as server:
        cohere = server.post("/v2/rerank", BODY)
        tei = server.post("/rerank", {"query": "tea", "texts": ["a", "b"]})
    assert (cohere.status, cohere.json["error"]["type"]) == (500, "server_error")
    assert (tei.status, tei.json["error_type"]) == (424, "Backend")
    assert b"device" not in cohere.body + tei.body


def test_a_full_queue_asks_to_come_again(slow: Slow) -> None:
    with Ranker(scorer=slow) as ranker, serving(ranker, limits=Limits(requests=2)) as server:
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(server.post, "/v2/rerank", BODY) for _ in range(2)]
            until(lambda: in_flight(server) == 2)
            assert server.request("GET", "/ready").status == 503
            assert server.request("GET", "/health").status == 200
            refused = server.post("/v2/rerank", BODY)
            tei = server.post("/rerank", {"query": "tea", "texts": ["a", "b"]})
            streamed = server.post("/v1/rank", {"query": "tea", "candidates": ["a", "b"], "stream": True})
            slow.go.set()
            assert [answer.result().status for answer in running] == [200, 200]
        assert (refused.status, tei.status, streamed.status) == (429, 429, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert tei.json["error_type"] == "Overloaded"
        assert server.request("GET", "/ready").status == 200
        assert server.post("/v2/rerank", BODY).status == 200


def test_without_calibration_the_relevance_is_the_score_of_the_ranking(slow: Slow) -> None:
    slow.go.set()
    with Ranker(scorer=slow) as ranker, serving(ranker) as server:
        expected = ranker.rank(BODY["query"], BODY["documents"], template="passage")
        found = server.post("/v2/rerank", BODY).json["results"]
        assert [row["relevance_score"] for row in found] == [item.score for item in expected]
        assert all(item.relevance is None for item in expected)
        assert server.post("/score", {"text_1": "a", "text_2": "b"}).status == 400


def test_a_scorer_without_a_tokenizer_cuts_no_documents(slow: Slow) -> None:
    slow.go.set()
    with Ranker(scorer=slow) as ranker, serving(ranker) as server:
        for setting in ({"max_tokens_per_doc": 3}, {"truncate_prompt_tokens": 9}):
            refused = server.post("/v2/rerank", {**BODY, **setting})
            assert refused.status == 400
            assert "need a model with a tokenizer" in refused.json["message"]
        assert server.post("/v2/rerank", {**BODY, "max_tokens_per_doc": 0}).status == 200


def test_documents_are_cut_within_the_bounds_of_a_request(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    cutting, go_on = threading.Semaphore(0), threading.Event()

    def shortened(body: Any, query: str, texts: list[str], ranker: Ranker) -> tuple[list[str], list[str]]:
        cutting.release()
        go_on.wait(20)
        return texts, []

    monkeypatch.setattr("rranker.server.rerank.shortened", shortened)
    slow.go.set()
    limits = Limits(requests=1, candidates=2)
    with Ranker(scorer=slow) as ranker, serving(ranker, limits=limits) as server:
        assert server.post("/v2/rerank", {**BODY, "documents": ["a"] * 3}).status == 413
        client = open_request(server)
        assert cutting.acquire(timeout=20)
        assert in_flight(server) == 1
        assert server.post("/v2/rerank", BODY).status == 429
        client.close()
        until(lambda: in_flight(server) == 0)
        go_on.set()
        assert server.post("/v2/rerank", BODY).status == 200


@pytest.mark.parametrize("path", ["/v2/rerank", "/rerank", "/sglang/v1/rerank", "/v1/rank", "/score"])
def test_a_body_in_chunks_is_as_bounded_as_one_that_says_its_length(path: str, slow: Slow) -> None:
    with Ranker(scorer=slow) as ranker, serving(ranker, limits=Limits(body_bytes=1000)) as server:
        body = json.dumps({"query": "tea", "documents": ["a" * 2000]}).encode()
        said, chunked = server.post(path, body), server.post(path, iter([body[:900], body[900:]]))
    assert (said.status, chunked.status) == (413, 413)
    assert chunked.json == said.json
    assert chunked.json["error"]["type"] == "request_too_large"


def test_what_takes_too_long_is_given_up(slow: Slow) -> None:
    with Ranker(scorer=slow) as ranker, serving(ranker, limits=Limits(seconds=0.1)) as server:
        late = server.post("/v2/rerank", BODY)
        assert (late.status, in_flight(server)) == (503, 0)
        slow.go.set()


@pytest.mark.parametrize("stream", [False, True])
def test_who_hangs_up_frees_the_place(stream: bool, slow: Slow) -> None:
    with Ranker(scorer=slow) as ranker, serving(ranker, limits=Limits(requests=3)) as server:
        body = {"query": "tea", "candidates": ["a", "b"], "stream": stream}
        clients = [open_request(server, "/v1/rank", body) for _ in range(3)]
        until(lambda: in_flight(server) == 3)
        for client in clients:
            client.close()
        until(lambda: in_flight(server) == 0)
        slow.go.set()
        assert server.post("/v2/rerank", BODY).status == 200


def test_clients_that_leave_half_way_leave_every_slot_of_the_engine_free(
    ranker: Ranker, server: Server
) -> None:
    body = {"query": "tea", "candidates": [f"text {i} on tea and bees" for i in range(60)], "stream": True}
    expected = server.post("/v2/rerank", BODY).json["results"]
    before = server.metric("rranker_hang_ups_total")
    clients = [open_request(server, "/v1/rank", {**body, "query": f"tea {i}"}) for i in range(40)]
    for client in clients:
        client.close()
    until(lambda: server.metric("rranker_hang_ups_total") > before and in_flight(server) == 0)
    cache = ranker._scorer.engine.runner.kv_cache  # type: ignore[attr-defined]
    until(lambda: bool(cache.allocator.free == cache.slots))
    assert server.post("/v2/rerank", BODY).json["results"] == expected


def test_keys_let_in(ranker: Ranker) -> None:
    with serving(ranker, keys=("one", "two")) as server:
        assert server.post("/v2/rerank", BODY).status == 401
        assert (
            server.post("/v2/rerank", BODY, Authorization="Bearer three")
            .json["message"]
            .startswith("this server")
        )
        assert server.post("/v2/rerank", BODY, Authorization="Bearer two").status == 200
        assert server.post("/v2/rerank", BODY, **{"X-API-Key": "one"}).status == 200
        assert server.request("GET", "/metrics").status == 401
        assert {server.request("GET", path).status for path in ("/health", "/ready")} == {200}


def test_only_loopback_is_served_without_a_key() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        check_exposure(host, ())
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        check_exposure(host, ("key",))
        with pytest.raises(ValueError, match="RRANKER_API_KEYS"):
            check_exposure(host, ())
    assert api_keys({"RRANKER_API_KEYS": " a, b,,"}) == ("a", "b")
    assert api_keys({}) == ()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/rerank", b"not json", 400),
        ("/v2/rerank", {"query": "a", "documents": []}, 400),
        ("/v2/rerank", {"query": "a", "documents": ["a"], "top_n": -1}, 400),
        ("/v2/rerank", {"query": "a", "documents": ["a"] * 1001}, 413),
        ("/v2/rerank", {"query": "a", "documents": ["a" * 9_000_000]}, 413),
        ("/v1/rank", {"query": "a", "candidates": [{"id": True, "text": "a"}]}, 400),
        ("/v1/rank", {"query": "a", "candidates": ["a"], "template": "poem"}, 400),
        ("/v1/rank", {"query": "a", "candidates": ["a", "b"], "reasoning": True}, 400),
        ("/v1/rank", {"query": "a", "candidates": ["a", "b"], "max_think_tokens": 5}, 400),
        ("/nowhere", {}, 404),
    ],
)
def test_wrong_requests_are_refused_by_a_status_that_says_so(
    path: str, body: Any, status: int, server: Server
) -> None:
    answer = server.post(path, body)
    assert answer.status == status
    assert answer.json


def test_the_log_and_the_metrics_hold_no_text(server: Server) -> None:
    logger, written = logging.getLogger("rranker.server"), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        answers = [
            server.post("/v2/rerank", {"query": "SECRET question", "documents": ["SECRET answer", "other"]}),
            server.post("/v1/rank", {"query": "SECRET", "candidates": [{"SECRET": 1}]}),
            server.post("/SECRET", {}),
        ]
        ids = [answer.headers["x-request-id"] for answer in answers]
        until(lambda: all(name in written.getvalue() for name in ids))  # lines follow when answers are out
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    by_id = {line["id"]: line for line in map(json.loads, written.getvalue().splitlines())}
    lines = [by_id[name] for name in ids]
    assert [line["status"] for line in lines] == [200, 400, 404]
    assert (lines[0]["candidates"], lines[0]["path"], lines[2]["path"]) == (2, "/v2/rerank", "other")
    assert lines[0]["seconds"] > 0
    assert "SECRET" not in written.getvalue() + server.request("GET", "/metrics").body.decode()


def test_a_terminated_server_answers_whom_it_has_accepted() -> None:
    command = [sys.executable, "-m", "rranker", "serve", "--port", "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, env={**os.environ, "RRANKER_API_KEYS": ""}
    ) as process:
        assert process.stderr is not None
        port = int(re.search(rb"serving on http://127.0.0.1:(\d+)", process.stderr.readline())[1])  # type: ignore[index]
        server = Server(port)
        until(lambda: _answers(server))
        body = {"query": "tea", "candidates": [f"text {i} on tea and bees" for i in range(100)]}
        with ThreadPoolExecutor(12) as pool:
            running = [pool.submit(server.post, "/v1/rank", {**body, "query": f"tea {i}"}) for i in range(12)]
            until(lambda: in_flight(server) >= 4 or all(r.done() for r in running))
            accepted = in_flight(server)
            process.send_signal(signal.SIGTERM)
            answered = [r.result() for r in running if r.exception() is None]
        said = process.stderr.read().decode()
    assert accepted >= 4
    assert len(answered) >= accepted
    assert {answer.status for answer in answered} == {200}
    assert all(len(answer.json["items"]) == 100 for answer in answered)
    assert process.returncode == 0, said
    assert json.loads(said.splitlines()[-1])["event"] == "stop"


def _answers(server: Server) -> bool:
    try:
        return server.request("GET", "/ready").status == 200
    except OSError:
        return False
