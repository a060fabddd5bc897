"""A local server that speaks the chat completions protocol (and SGLang's score), with faults on request."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass
class Fault:
    """What comes in place of an answer: a status with headers and a body, bytes as they are, silence, or a hang-up."""

    status: int = 200
    body: bytes | Body = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    """The connection ends in the middle of the body."""


class Server(ThreadingHTTPServer):
    """Answers each POST by a function of its path and body; keeps what was asked."""

    daemon_threads = True

    def __init__(self, answer: Callable[[str, Body], Body | Fault]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.asked = answer, list[Body]()
        self.paths, self.keys = list[str](), list[str | None]()
        self.times = list[float]()
        self.lock, self.under_way, self.most_at_once = threading.Lock(), 0, 0

    @property
    def url(self) -> str:
        """What an `openai` client takes."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on purpose here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.asked.append(body)
            server.paths.append(self.path)
            server.keys.append(self.headers.get("Authorization"))
            server.times.append(time.monotonic())
            server.under_way += 1
            server.most_at_once = max(server.most_at_once, server.under_way)
        try:
            answer = server.answer(self.path, body)
            fault = answer if isinstance(answer, Fault) else Fault(body=answer)
            time.sleep(fault.delay)
        finally:
            with server.lock:
                server.under_way -= 1
        sent = fault.body if isinstance(fault.body, bytes) else json.dumps(fault.body).encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault.drop:
            self.wfile.write(sent[: len(sent) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(sent)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: tests print nothing."""


@contextmanager
def serving(answer: Callable[[str, Body], Body | Fault]) -> Iterator[Server]:
    """A running server."""
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def completion(
    content: str | None,
    *,
    finish: str = "stop",
    refusal: str | None = None,
    tokens: list[tuple[str, dict[str, float]]] | None = None,
    usage: tuple[int, int, int] | None = (100, 5, 0),
    **message: Any,
) -> Body:
    """A response in the protocol's shape. `tokens`: each token of the answer with its alternatives' log-probabilities.

    `usage`: tokens read, written, and of those read the ones that had been read before.
    """
    logprobs = None
    if tokens is not None:
        logprobs = {
            "content": [
                {
                    "token": token,
                    "logprob": others.get(token, -1.0),
                    "bytes": None,
                    "top_logprobs": [
                        {"token": other, "logprob": logp, "bytes": None} for other, logp in others.items()
                    ],
                }
                for token, others in tokens
            ]
        }
    made: Body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stand-in",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "logprobs": logprobs,
                "message": {"role": "assistant", "content": content, "refusal": refusal, **message},
            }
        ],
    }
    if usage is not None:
        read, written, cached = usage
        made["usage"] = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
    return made


def error(status: int, message: str, code: str | None = None, **headers: str) -> Fault:
    """A refusal in the protocol's shape."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status, {"error": {"message": message, "type": "error", "param": None, "code": code}}, named)
