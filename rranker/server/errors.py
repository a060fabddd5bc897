"""Errors in the words of each dialect."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

BROKEN = "something went wrong here; the log says where"
"""What clients are told of an error that they are not to blame for."""


class Refusal(HTTPException):
    """A request that gets no ranking. `status` is HTTP's; `retry_after` in seconds, where it may come again.

    Of the kind that FastAPI lets through when it comes up while a body is read: any other becomes FastAPI's own 400.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(status, message)
        self.status, self.retry_after = status, retry_after

    def __str__(self) -> str:
        return self.detail


class AsciiJSON(JSONResponse):
    """JSON in ASCII: a document may hold halves of surrogate pairs, which are no UTF-8."""

    def render(self, content: Any) -> bytes:
        """See `JSONResponse.render`."""
        return json.dumps(content, allow_nan=False).encode()


_KINDS = {
    401: "authentication_error",
    413: "request_too_large",
    429: "overloaded_error",
}
# text-embeddings-inference's words. An empty list is its 400, a failed inference its 424.
_TEI_KINDS = {400: "Empty", 401: "Unauthorized", 413: "Validation", 422: "Validation", 429: "Overloaded"}


def error_response(refusal: Refusal, *, tei: bool = False) -> JSONResponse:
    """As TEI writes errors, or as a superset: `message` (Cohere), `detail` (Jina, FastAPI), `error` (OpenAI, vLLM)."""
    status, message = refusal.status, str(refusal)
    body: dict[str, Any]
    if tei:
        status = 424 if status in (500, 502) else status
        body = {"error": message, "error_type": _TEI_KINDS.get(status, "Backend")}
    else:
        kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
        body = {
            "message": message,
            "detail": message,
            "error": {"message": message, "type": kind, "code": status},
        }
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return AsciiJSON(body, status, headers)
