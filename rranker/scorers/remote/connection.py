"""One request to a server, as often as it takes: how many at once, how long, when again, and when no more."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from .budget import Ledger, Usage
from .errors import RemoteError, StopError, TransientError
from .faults import as_fault
from .settings import Settings

T = TypeVar("T")
_LONGEST_PAUSE = 60.0
"""Seconds. A server that wants to be left alone for longer is not waited for."""
_LATE = "the time limit was reached"


class Connection:
    """A client of the `openai` package and what its calls share. Made on the event loop that it belongs to."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.loop = asyncio.get_running_loop()
        self.ledger = ledger
        self._settings, self._client = settings, settings.make_client()
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._silent_until = (
            0.0  # a server that is overrun asked for peace: from all calls, not only from one
        )

    async def call(
        self,
        send: Callable[[Any], Awaitable[T]],
        used: Callable[[T], Usage | None],
        book: Callable[[Usage], None],
        *,
        expected: int,
        deadline: float | None,
    ) -> T:
        """What `send(client)` returns, tried again while faults may pass.

        `used` reads what the response says it took (None: the `expected` tokens are booked); `book` is told what every
        try took. Raises RemoteError when the server refuses or does not come round, StopError at the `deadline` (of
        the loop's clock) or where the budget ends.
        """
        tries = self._settings.retries + 1
        for attempt in range(tries):
            try:
                return await self._once(send, used, book, expected, deadline)
            except TransientError as fault:
                if attempt + 1 == tries:
                    raise RemoteError(f"no answer after {tries} tries: {fault}") from fault.__cause__
                await self._pause(attempt, fault, deadline)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Closes the client; not in a forked child, where its sockets are the parent's."""
        if self.loop is asyncio.get_running_loop():
            await self._client.close()

    async def _once(
        self,
        send: Callable[[Any], Awaitable[T]],
        used: Callable[[T], Usage | None],
        book: Callable[[Usage], None],
        expected: int,
        deadline: float | None,
    ) -> T:
        async with _until(deadline), self._slots:
            while (
                self.loop.time() < self._silent_until
            ):  # it may have been put off while this call waited for it
                await self._until(self._silent_until, deadline)
            await self.ledger.reserve(expected)
            # Where nobody knows: the request may have been read, and paid for.
            took = Usage(calls=1, prompt=expected)
            try:
                async with asyncio.timeout(self._settings.timeout):
                    response = await send(self._client)
                if (said := used(response)) is not None:
                    took = Usage(calls=1) + said
                return response
            except TimeoutError as error:
                raise TransientError(f"no answer within {self._settings.timeout:g} s") from error
            except Exception as error:
                fault, certain = as_fault(error)
                took = took if certain is None else certain
                raise fault from error
            finally:
                book(took)
                await self.ledger.release(expected, took)

    async def _pause(self, attempt: int, fault: TransientError, deadline: float | None) -> None:
        now = self.loop.time()
        if fault.wait is None:
            pause = min(self._settings.backoff * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
            await self._until(now + pause, deadline)
        elif fault.wait > _LONGEST_PAUSE:
            raise RemoteError(
                f"{fault}; the server asks for a pause of {fault.wait:g} s: try again later, or with fewer calls at "
                "once (concurrency=)"
            ) from fault.__cause__
        else:
            self._silent_until = max(self._silent_until, now + fault.wait)

    async def _until(self, moment: float, deadline: float | None) -> None:
        if deadline is not None and moment >= deadline:
            raise StopError(_LATE)
        await asyncio.sleep(moment - self.loop.time())


@asynccontextmanager
async def _until(deadline: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise StopError(_LATE) from error
