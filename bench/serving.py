"""Load on a server on loopback: `python -m bench.serving`.

64 clients send 2,000 requests to `rranker serve`, and the same to a plain cross-encoder behind FastAPI
(serving_peer.py). Then 200 clients hang up half-way, and the server is terminated under load. Everything runs on this
machine's cores, the clients too.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rranker import Ranker

KINDS, THINGS = (
    ("small", "old", "red", "far", "warm"),
    ("bee", "road", "bread", "star", "house", "river", "tea"),
)
WORDS = KINDS + THINGS


@dataclass
class Load:
    """What came of a load: seconds of each answer, statuses, and answers by the number of their query."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int | str] = field(default_factory=Counter)
    answers: list[tuple[int, list[tuple[int, float]]]] = field(default_factory=list)
    wall: float = 0.0


def problems(count: int, candidates: int, words: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)

    def text(length: int) -> str:
        return " ".join(rng.choice(WORDS, length))

    return [{"query": text(8), "documents": [text(words) for _ in range(candidates)]} for _ in range(count)]


def send(port: int, body: Any, timeout: float = 300) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/v2/rerank", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def put_load(port: int, bodies: list[dict[str, Any]], requests: int, clients: int) -> Load:
    """Each client sends its next request when its last one is answered; one that gets 429 counts and goes on."""
    load = Load()

    def one(number: int) -> None:
        began = time.perf_counter()
        try:
            status, answer = send(port, bodies[number % len(bodies)])
        except (OSError, http.client.HTTPException) as error:
            load.statuses[type(error).__name__] += 1
            return
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(time.perf_counter() - began)
            scores = [(row["index"], row["relevance_score"]) for row in answer["results"]]
            load.answers.append((number % len(bodies), scores))

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(requests)))
    load.wall = time.perf_counter() - began
    return load


@contextmanager
def started(*command: str, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A server that is ready, and the file of its log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as errors:
            process = subprocess.Popen([sys.executable, "-m", *command], stderr=errors)
            try:
                while not _ready(port):
                    if process.poll() is not None:
                        raise RuntimeError(log.read_text(encoding="utf-8"))
                    time.sleep(0.1)
                yield process, log
            finally:
                process.terminate()
                process.wait()


def _ready(port: int) -> bool:
    try:
        return fetch(port, "/ready")[0] == 200
    except OSError:
        return False


def fetch(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def row(name: str, load: Load) -> str:
    p50, p99 = np.percentile(load.seconds, [50, 99])
    statuses = ", ".join(f"{count} × {status}" for status, count in load.statuses.items())
    return f"| {name} | {len(load.seconds) / load.wall:.1f} | {p50:.2f} s | {p99:.2f} s | {statuses} |"


def unlike_direct(load: Load, bodies: list[dict[str, Any]]) -> tuple[int, float]:
    """Answers in another order than a direct call's, and the largest difference of a relevance."""
    direct = list[list[tuple[int, float | None]]]()
    with Ranker() as ranker:
        for body in bodies:
            ranking = ranker.rank(body["query"], body["documents"], template="passage")
            direct.append([(item.index, item.relevance) for item in ranking])
    others, gap = 0, 0.0
    for number, scores in load.answers:
        others += [i for i, _ in scores] != [i for i, _ in direct[number]]
        known = dict(direct[number])
        gap = max([gap, *(abs(score - (known[i] or 0.0)) for i, score in scores)])
    return others, gap


def hang_up(port: int, body: dict[str, Any], clients: int) -> str:
    """Clients that send a request and leave; then what the server says is still in flight."""
    data = json.dumps(body).encode()
    head = f"POST /v2/rerank HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(clients)]
    for connection in connections:
        connection.sendall(head.encode() + data)
    time.sleep(0.2)
    for connection in connections:
        connection.close()
    while (left := metric(port, "rranker_requests_in_flight")) > 0:
        time.sleep(0.1)
    gone = metric(port, "rranker_hang_ups_total")
    status, _ = send(port, body)
    return f"{clients} clients hung up: {gone:.0f} noticed, {left:.0f} in flight, the next got {status}"


def metric(port: int, name: str) -> float:
    lines = fetch(port, "/metrics")[1].decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))


def terminate(
    process: subprocess.Popen[bytes], log: Path, port: int, bodies: list[dict[str, Any]], clients: int
) -> str:
    """SIGTERM while all clients wait: what the server has answered, by its own log, against what came back."""
    before = sum('"verb": "POST"' in line for line in log.read_text(encoding="utf-8").splitlines())
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(put_load, port, bodies, 4 * clients, clients)
        while metric(port, "rranker_requests_in_flight") < clients / 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        load = loading.result()
    process.wait()
    lines = [
        json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")
    ]
    accepted = Counter(
        line["status"] for line in islice((x for x in lines if x.get("verb") == "POST"), before, None)
    )
    return (
        f"terminated under load: the server's log has {dict(accepted)}, the clients have {dict(load.statuses)}; "
        f"exit code {process.returncode}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--words", type=int, default=20, help="of a candidate")
    options = parser.parse_args()
    bodies = problems(50, options.candidates, options.words)
    size = f"{options.candidates} candidates of {options.words} words"
    print(f"{options.clients} clients, {options.requests} requests of {size}\n")
    print("| server | requests/s | p50 | p99 | statuses |\n|---|---:|---:|---:|---|")
    port = free_port()
    with started("rranker", "serve", "--port", str(port), port=port) as (process, log):
        put_load(port, bodies, options.clients, options.clients)  # warm
        ours = put_load(port, bodies, options.requests, options.clients)
        print(row("rranker serve, bundled model", ours), flush=True)
        said = [hang_up(port, bodies[0], 200), terminate(process, log, port, bodies, options.clients)]
    port = free_port()
    with started("bench.serving_peer", str(port), port=port):
        put_load(port, bodies, options.clients, options.clients)
        peer = put_load(port, bodies, options.requests, options.clients)
        print(row("cross-encoder of MiniLM-L6's shape, FastAPI", peer), flush=True)
    others, gap = unlike_direct(ours, bodies)
    print(
        f"\n{others} of {len(ours.answers)} answers in another order than a direct call's; relevance within {gap:.4f}"
    )
    print(*said, sep="\n")


if __name__ == "__main__":
    main()
