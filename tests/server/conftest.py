"""A server on a free port of loopback, in a thread, and a client that is nothing but Python's own."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from rranker import Ranker
from rranker.server.limits import Limits


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    port: int

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        # Without a length of its own, an iterator goes out in chunks.
        data = body if body is None or isinstance(body, bytes | Iterator) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        try:
            connection.request(method, path, data, given)
            found = connection.getresponse()
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.request("POST", path, body, headers)

    def metric(self, name: str) -> float:
        text = self.request("GET", "/metrics").body.decode()
        return sum(
            float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split()[0] == name
        )


@contextmanager
def serving(ranker: Ranker, *, limits: Limits | None = None, keys: tuple[str, ...] = ()) -> Iterator[Server]:
    import uvicorn

    from rranker.server.app import create_app

    app = create_app(ranker, limits=limits, keys=keys)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False)
    socket, server = config.bind_socket(), uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Server(socket.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


@pytest.fixture(scope="session")
def ranker() -> Iterator[Ranker]:
    with Ranker() as loaded:
        yield loaded


@pytest.fixture(scope="session")
def server(ranker: Ranker) -> Iterator[Server]:
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    with serving(ranker) as started:
        yield started
