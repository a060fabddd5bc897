"""What every request passes before its body is read, and after it was answered: key, size, count, log line."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import BROKEN, Refusal, error_response
from .limits import Limits, may_enter
from .telemetry import Telemetry, log, log_failure

OPEN = ("/", "/health", "/ready", "/favicon.ico")
"""What needs no key: they say nothing of anybody's queries, and cost nothing."""


class Border:
    """ASGI middleware. Sets `request_id` in the state of each request, and in the header X-Request-ID."""

    def __init__(
        self, app: ASGIApp, *, keys: Sequence[str], limits: Limits, telemetry: Telemetry, paths: Sequence[str]
    ) -> None:
        self._app, self._keys, self._limits, self._telemetry = app, tuple(keys), limits, telemetry
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, answered = time.perf_counter(), 500, False
        name = scope.setdefault("state", {})["request_id"] = uuid.uuid4().hex
        headers, path = Headers(scope=scope), scope["path"]
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limits.body_bytes:
                raise self._too_large()
            return message

        async def noted(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                MutableHeaders(scope=message)["X-Request-ID"] = name
            await send(message)

        try:
            try:
                self._check(headers, path)
                await self._app(scope, counted, noted)
            except Refusal as refusal:
                await error_response(refusal)(scope, receive, noted)
            except Exception as error:
                log_failure(name, error)
                if answered:  # the server logs what it is given: not its words
                    raise RuntimeError("an answer broke off; the line before says where") from None
                tei = scope["state"].get("tei", False)
                await error_response(Refusal(500, BROKEN), tei=tei)(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - began
            status = scope["state"].get("status", status)  # what a stream said in its end, behind its 200
            # Paths that do not exist are one: clients could make any number of them.
            label = path if path in self._paths else "other"
            self._telemetry.requests.labels(label, str(status)).inc()
            self._telemetry.seconds.labels(label).observe(seconds)
            facts = scope["state"].get("facts", {})
            log(
                "request",
                id=name,
                verb=scope["method"],
                path=label,
                status=status,
                seconds=round(seconds, 4),
                **facts,
            )

    def _check(self, headers: Headers, path: str) -> None:
        if path not in OPEN and not may_enter(
            self._keys, headers.get("authorization", ""), headers.get("x-api-key", "")
        ):
            raise Refusal(401, "this server needs an API key: Authorization: Bearer KEY, or X-API-Key: KEY")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.body_bytes:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is larger than {self._limits.body_bytes:,.0f} bytes")
