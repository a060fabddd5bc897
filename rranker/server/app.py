"""The application: every dialect in front of one Ranker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.responses import HTMLResponse, JSONResponse, Response

    from .telemetry import Telemetry
except ImportError as error:
    raise ImportError(f"the server needs the package {error.name!r}: pip install 'rranker[serve]'") from error

from .. import __version__
from ..view import server_page
from .border import OPEN, Border
from .errors import AsciiJSON, Refusal, error_response
from .limits import Limits
from .rank import rank_routes
from .rerank import rerank_routes
from .service import Service

if TYPE_CHECKING:
    from ..ranker import Ranker

_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What to change in the request, in the words of its dialect"},
    "5XX": {"description": "No answer: in time (503), or at all"},
}
"""For the schema, in place of FastAPI's own 422, of a shape that no client gets."""


def create_app(
    ranker: Ranker, *, limits: Limits | None = None, keys: Sequence[str] = (), name: str | None = None
) -> FastAPI:
    """An ASGI application that ranks by `ranker`, for any ASGI server; one worker a model.

    `keys` let clients in; without, anybody who reaches it. `name` is what clients are told the model is called: left
    out, the last part of its path. Raises ImportError, naming the extra, when a package is missing.
    """
    limits = limits or Limits()
    service = Service(ranker, limits, name or _name(ranker))
    # Swagger's page would come from elsewhere.
    app = FastAPI(
        title="rranker", version=__version__, docs_url=None, redoc_url=None, default_response_class=AsciiJSON
    )
    for router in (rerank_routes(service), rank_routes(service)):
        app.include_router(router, responses=_ERRORS)
    _add_operations(app, service, service.telemetry)

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        return error_response(refusal, tei=getattr(request.state, "tei", False))

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> JSONResponse:
        unread = error.status_code == 400  # FastAPI's, of a body that it could not parse
        said = "the body cannot be read as JSON in UTF-8" if unread else str(error.detail)
        response = error_response(Refusal(error.status_code, said))
        response.headers.update(error.headers or {})  # Allow, of a 405
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        tei = isinstance(error.body, dict) and "texts" in error.body and request.url.path == "/rerank"
        # What was wrong, not what was sent: that may be somebody's document.
        said = "; ".join(f"{_place(found['loc'])}: {found['msg']}" for found in error.errors()[:5])
        if isinstance(error.body, bytes):
            said += " (is the header Content-Type: application/json missing?)"
        return error_response(Refusal(422 if tei else 400, said), tei=tei)

    paths = [*app.openapi()["paths"], *OPEN]
    app.add_middleware(Border, keys=keys, limits=limits, telemetry=service.telemetry, paths=paths)
    return app


def _add_operations(app: FastAPI, service: Service, telemetry: Telemetry) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        """Where people ask, and watch."""
        return HTMLResponse(
            server_page(), headers={"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"}
        )

    @app.head("/health", include_in_schema=False)
    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.head("/ready", include_in_schema=False)
    @app.get("/ready")
    async def ready() -> Response:
        """Whether one more request would be accepted; 503 where not."""
        state = "ready" if service.has_room else "full"
        return JSONResponse({"status": state, "model": service.name}, 200 if service.has_room else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters, as Prometheus reads them."""
        return Response(telemetry.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _name(ranker: Ranker) -> str:
    try:
        name = ranker.model.name
    except AttributeError:  # a scorer of the caller's own
        return "rranker"
    return "rranker" if name == "default" else Path(name).name


def _place(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location if part not in ("body", "tei", "cohere")) or "the body"
