"""Requests through a scorer, together; what fails, fails alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Literal, TypedDict

from .methods import method_class
from .query_errors import naming_query
from .request import Request
from .result import build_ranking
from .scorers import Job, Scorer
from .types import Ranking

OnError = Literal["raise", "return"]


class BatchSettings(TypedDict, total=False):
    """Settings of `Ranker.rank_batch` but for `on_error`, which decides what it returns."""

    template: str | None
    task: str | None
    instruction: str | None
    top_k: int | None
    method: str | None
    relevance: bool | None
    threshold: float | None
    progress: bool


def rank_requests(
    scorer: Scorer,
    requests: Sequence[Request | Exception],
    method: str | None,
    on_error: OnError,
    *,
    progress: bool,
    batch: bool,
) -> list[Ranking | Exception]:
    """A ranking, or with `on_error="return"` an error, for each request. `method` None is what suits the scorer.

    `batch`: errors name the query they are about. Raises ValueError for an unknown method.
    """
    from tqdm.auto import tqdm

    chosen = None if method is None else method_class(method)
    began = time.perf_counter()
    results: dict[int, Ranking | Exception] = {}

    def failed(place: int, error: Exception) -> None:
        request = requests[place]
        named = naming_query(error, place, request) if batch and isinstance(request, Request) else error
        if on_error == "raise":
            raise named
        results[place] = named

    places: dict[int, int] = {}
    jobs = list[Job]()
    with tqdm(total=len(requests), disable=not progress, unit="query") as bar:
        for place, request in enumerate(requests):
            try:
                if isinstance(request, Exception):
                    raise request
                rules = chosen or method_class(_suited(scorer, request))
                job = scorer.prepare(request, rules)
                if request.relevance and job.calibration is None:
                    raise ValueError(
                        "relevance and threshold need a calibrated model, and this scorer gives an order only: leave "
                        "them out"
                    )
                jobs.append(job)
                places[id(jobs[-1])] = place
            except Exception as error:
                failed(place, error)
        bar.update(len(results))
        with closing(scorer.play(jobs)) as played:
            for job in played:
                if job.error is not None:
                    failed(places[id(job)], job.error)
                else:
                    results[places[id(job)]] = build_ranking(job, time.perf_counter() - began)
                bar.update()
    return [results[place] for place in range(len(requests))]


def _suited(scorer: Scorer, request: Request) -> str:
    """The scorer's own choice; those written before scorers could choose eliminate."""
    choose = getattr(scorer, "default_method", None)
    return "iranker" if choose is None else str(choose(request))
