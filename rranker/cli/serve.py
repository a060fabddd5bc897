"""`rranker serve`: the HTTP server."""

from __future__ import annotations

import os
import signal
from typing import Annotated

import typer

from rranker.cli.errors import ExitCode, command, failing_as, say
from rranker.cli.loading import load_ranker
from rranker.cli.settings import Device, Devices, Dtype, Method, Model, Reasoning, Relevance


@command
def serve(  # noqa: PLR0913 (options of a command)
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need RRANKER_API_KEYS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    model: Model = None,
    device: Device = None,
    devices: Devices = None,
    dtype: Dtype = None,
    method: Method = None,
    reasoning: Reasoning = False,
    relevance: Relevance = None,
    name: Annotated[str | None, typer.Option(help="What clients are told the model is called.")] = None,
    requests: Annotated[int, typer.Option(min=1, help="Accepted at once; more get 429.")] = 256,
    candidates: Annotated[int, typer.Option(min=1, help="Of one request.")] = 1000,
    body_megabytes: Annotated[float, typer.Option(help="Of one request.")] = 8,
    seconds: Annotated[float, typer.Option(help="From a request to its answer.")] = 60,
) -> None:
    """Serve rankings over HTTP, in several dialects (docs/serving.md); SIGTERM finishes what is running."""
    try:
        import uvicorn

        from rranker.server.app import create_app
    except ImportError as error:
        raise ImportError(
            f"the server needs the package {error.name!r}: pip install 'rranker[serve]'"
        ) from error
    from rranker.server.limits import Limits, api_keys, check_exposure
    from rranker.server.telemetry import log, log_to_stderr

    keys = api_keys(os.environ)
    with failing_as(ExitCode.USAGE):
        check_exposure(host, keys)
        limits = Limits(requests, candidates, body_megabytes * 2**20, seconds)
    log_to_stderr()
    with load_ranker(
        model=model,
        device=device,
        devices=devices,
        dtype=dtype,
        method=method,
        reasoning=reasoning,
        relevance=relevance,
    ) as ranker:
        app = create_app(ranker, limits=limits, keys=keys, name=name)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=int(seconds) + 1,
        )
        with failing_as(ExitCode.USAGE, ExitCode.UNAVAILABLE):
            socket = config.bind_socket()
        where = url_of(*socket.getsockname()[:2])
        say(f"serving on {where}")
        log("start", where=where, keys=len(keys))
        # uvicorn finishes what is running and then raises the signal anew, for whoever had it before: nobody.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[socket])
    log("stop")


def url_of(address: str, port: int) -> str:
    """What to type to reach an address; one of IPv6 goes into brackets."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
