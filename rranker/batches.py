"""Requests through a scorer, together, step by step; what fails, fails alone."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from .methods import Episode, method_class
from .query_errors import naming_query
from .request import Request
from .result import build_ranking, new_rounds
from .scorers import Job, Scorer
from .settings import OnError
from .types import Ranking, Round

_PREPARED_AT_ONCE = 8
"""Requests that are laid out between two pauses: tens of milliseconds of work for lists of 50."""


@dataclass(frozen=True, slots=True)
class Update:
    """What became of one request: rounds that were decided, and its result once there is one.

    `index` is its place among the requests; `result` an error where `on_error="return"` keeps it.
    """

    index: int
    rounds: Sequence[Round]
    result: Ranking | Exception | None = None


def play_requests(
    scorer: Scorer,
    requests: Sequence[Request | Exception],
    method: str | None,
    on_error: OnError,
    *,
    named: bool,
) -> Generator[Update | None]:
    """Plays all requests, together. `method` None is what suits the scorer; errors are `named` by their query.

    Yields None where a step ends (see `Scorer.play`), and now and then while requests are laid out. Closing it early
    gives back whatever it holds. Raises ValueError for an unknown method, and with `on_error="raise"` the first error
    of a request.
    """
    chosen = None if method is None else method_class(method)
    began = time.perf_counter()

    def failed(index: int, error: Exception) -> Exception:
        request = requests[index]
        known = naming_query(error, index, request) if named and isinstance(request, Request) else error
        if on_error == "raise":
            raise known
        return known

    jobs, indices = list[Job](), dict[int, int]()
    for index, request in enumerate(requests):
        if index and index % _PREPARED_AT_ONCE == 0:
            yield None  # a call that came later need not wait until the whole batch is laid out
        try:
            if isinstance(request, Exception):
                raise request
            job = _prepared(scorer, request, chosen)
        except Exception as error:
            yield Update(index, (), failed(index, error))
        else:
            jobs.append(job)
            indices[id(job)] = index
    rounds: list[list[Round]] = [[] for _ in requests]
    with closing(scorer.play(jobs)) as steps:
        for played in steps:
            if played is None:
                yield None
                continue
            place = indices[id(played)]
            decided = new_rounds(played, len(rounds[place]))
            rounds[place] += decided
            result: Ranking | Exception | None = None
            if played.done and played.error is not None:
                result = failed(place, played.error)
            elif played.done:
                try:
                    result = build_ranking(played, rounds[place], time.perf_counter() - began)
                except Exception as error:  # a method of one's own says what came of it
                    result = failed(place, error)
            if decided or result is not None:
                yield Update(place, decided, result)


def _prepared(scorer: Scorer, request: Request, method: type[Episode] | None) -> Job:
    job = scorer.prepare(request, method or method_class(scorer.default_method(request)))
    if request.relevance and job.calibration is None:
        raise ValueError(
            "relevance and threshold need a calibrated model, and this scorer gives an order only: leave them out"
        )
    return job
