"""Counters for Prometheus, and a log line a request. Neither holds any text of queries or documents."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..types import Ranking

logger = logging.getLogger("rranker.server")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Telemetry:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rranker_requests", "Answered requests", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "rranker_request_seconds",
            "From the first byte to the answer",
            ["path"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "rranker_requests_in_flight", "Accepted and not yet answered", registry=self.registry
        )
        self.hang_ups = Counter(
            "rranker_hang_ups", "Clients that left before their answer", registry=self.registry
        )
        self._costs = {
            name: Counter(f"rranker_{name}", what, registry=self.registry)
            for name, what in (
                ("rankings", "Rankings made"),
                ("candidates", "Candidates ranked"),
                ("tokens_encoded", "Tokens that were encoded"),
                ("tokens_reused", "Tokens that a naive loop would have encoded and that were not"),
                ("forward_passes", "Passes that rankings took part in"),
                ("repairs", "Repairs"),
            )
        }

    def ranked(self, ranking: Ranking) -> None:
        """Books what a ranking cost."""
        stats = ranking.stats
        for name, amount in (
            ("rankings", 1),
            ("candidates", len(ranking)),
            ("tokens_encoded", stats.tokens_encoded),
            ("tokens_reused", max(stats.tokens_reused, 0)),
            ("forward_passes", stats.forward_passes),
            ("repairs", len(ranking.repairs)),
        ):
            self._costs[name].inc(amount)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


def log(event: str, **facts: Any) -> None:
    """A structured log line, at the level INFO."""
    logger.info(event, extra={"facts": facts})


def log_failure(request: str, error: BaseException, **facts: Any) -> None:
    """What broke here while a request was served: its type and place, but not its words, which may hold its texts."""
    at = traceback.format_tb(error.__traceback__)
    logger.error("error", extra={"facts": {"id": request, "type": type(error).__name__, "at": at, **facts}})


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and its facts. Of an error, where it came up, but not its words."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        return json.dumps(line, default=str)


def log_to_stderr() -> None:
    """Has the server's log written as JSON lines; without, it goes wherever the process's own logging says."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
