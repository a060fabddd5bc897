"""What can go wrong on the way to a remote model and back."""

from __future__ import annotations


class RemoteError(RuntimeError):
    """A remote model did not answer, or refused the request; the message says what it said and what to do.

    `status`: the HTTP status of a refusal.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class StopError(Exception):
    """Nothing more may be asked (budget, time limit); the ranking ends with what is known. Never leaves a scorer."""


class MalformedError(Exception):
    """A response that is not what its protocol says."""


class TransientError(Exception):
    """A fault that may pass; `wait`: the seconds after which the server wants to be asked again, if it said so."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait
