"""The recipe of docs/serving.md: the server as an application of Ray Serve, in two processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rranker import Ranker
from tests.server.conftest import Server

pytestmark = pytest.mark.slow
LOAD: dict[str, Any] = {"device": "cpu", "dtype": "float32"}
QUERIES = [f"note {i} on bees and rivers" for i in range(6)]
TEXTS = ["a text on bees", "a text on tea", "a text on rivers", "a text on trains"]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Server, int]]:
    """A server, and how many processes rank behind it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # tests talk to nobody
    # Ray kills a proxy that is not there within 5 seconds: on two cores beside other tests it may take longer to start.
    os.environ["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"] = "60"
    ray = pytest.importorskip("ray", reason="needs Ray Serve: pip install 'ray[serve]'")
    serve = pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install 'ray[serve]'")

    def app() -> Any:
        from rranker import Ranker
        from rranker.server.app import create_app

        return create_app(Ranker(**LOAD))

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=3, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        deployment = serve.deployment(
            serve.ingress(app)(), name="rranker", num_replicas=2, max_ongoing_requests=256
        )
        serve.run(deployment.bind())
        states = serve.status().applications["default"].deployments["rranker"].replica_states
        yield Server(port), states["RUNNING"]
    finally:
        serve.shutdown()
        ray.shutdown()


def test_answers_are_those_of_direct_calls_and_both_processes_rank(served: tuple[Server, int]) -> None:
    server, replicas = served
    assert replicas == 2
    assert server.request("GET", "/ready").status == 200
    with Ranker(**LOAD) as ranker:
        direct = {query: ranker.rank(query, TEXTS, template="passage") for query in QUERIES}
    asked = QUERIES * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda query: server.post("/v2/rerank", {"query": query, "documents": TEXTS}), asked)
        )
    for query, answer in zip(asked, answers, strict=True):
        assert answer.status == 200
        assert [row["index"] for row in answer.json["results"]] == direct[query].order
    assert server.post("/v2/rerank", {"query": "no documents"}).status == 400
    # Each process counts its own rankings: whichever is met has made some, and not all.
    counts = [server.metric("rranker_rankings_total") for _ in range(4)]
    assert all(0 < count < len(asked) for count in counts), counts
