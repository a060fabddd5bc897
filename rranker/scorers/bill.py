"""What a ranking has cost, from the handles of the requests that it made."""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.requests import Handle
from ..types import Stats


def stats_of(handles: Sequence[Handle]) -> Stats:
    """The bill of all requests of a job. Passes are each request's own, also where two shared one."""
    return Stats(
        tokens_naive=sum(handle.tokens_naive for handle in handles),
        tokens_encoded=sum(handle.tokens_encoded for handle in handles),
        forward_passes=sum(handle.passes for handle in handles),
        speculation_hits=sum(handle.guesses[0] for handle in handles),
        speculation_misses=sum(handle.guesses[1] for handle in handles),
        tokens_generated=sum(handle.written for handle in handles),
    )
