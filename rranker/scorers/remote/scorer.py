"""Jobs that a remote model answers: many side by side, each by its own questions, each with its own errors."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar, Unpack

from ...methods import Episode
from ...request import Request
from ...types import Repair, Stats
from ...workers import when_reader_goes
from ..protocol import Job
from .budget import Ledger, Usage
from .connection import Connection
from .errors import StopError
from .event_loop import submit
from .settings import CallSettings, Settings

T = TypeVar("T")
_Played = tuple[Job, Callable[[], Any]]
"""A job that went on, and what lets it go on further."""


@dataclass(slots=True)
class Calls:
    """How one job asks: its calls are booked to it, and end when its batch's time does."""

    connection: Connection
    deadline: float | None
    used: Usage = field(default_factory=Usage)

    async def __call__(
        self, send: Callable[[Any], Awaitable[T]], usage: Callable[[T], Usage | None], *, expected: int
    ) -> T:
        """See `Connection.call`."""
        return await self.connection.call(send, usage, self._book, expected=expected, deadline=self.deadline)

    def _book(self, used: Usage) -> None:
        self.used += used


class RemoteScorer(ABC):
    """See `Scorer`; `calls` are those of `Settings`. A subclass lays jobs out, and asks one round's questions.

    Jobs run side by side; what one of them runs into is its own, and each is given back when it is done. Where the
    budget or the time ends, what was not asked follows the last answers, and the ranking says so by a repair of the
    kind `stopped`.
    """

    def __init__(self, **calls: Unpack[CallSettings]) -> None:
        self._settings = Settings.of(calls)
        self._settings.make_client()  # what is missing is said now, and not by the first ranking
        self._spent, self._closed = Usage(), False
        self._connection: Connection | None = None
        self._running = set[Future[None]]()

    @abstractmethod
    def default_method(self, request: Request) -> str:
        """See `Scorer.default_method`."""

    @abstractmethod
    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`."""

    @abstractmethod
    async def ask(self, job: Job, calls: Calls) -> None:
        """Asks what the job's player wants to know next, and tells it the answer."""

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`. A job goes on when its round has been read: nothing is asked ahead of its reader."""
        yield from [job for job in jobs if job.decided]
        open_jobs = [job for job in jobs if not job.decided]
        if not open_jobs:
            return
        played: SimpleQueue[_Played | None] = SimpleQueue()
        running = submit(self._play_all(open_jobs, played))
        self._running.add(running)
        running.add_done_callback(lambda _: played.put(None))
        when_reader_goes(running.cancel)
        try:
            while (told := played.get()) is not None:
                job, go_on = told
                yield job
                yield None
                go_on()
            running.result()
        except CancelledError as error:  # or its reader is gone, and nobody hears this
            raise RuntimeError("the scorer was closed while it was ranking") from error
        finally:
            if not sys.is_finalizing():  # then the loop's thread is gone already
                running.cancel()
            self._running.discard(running)

    @property
    def spent(self) -> Usage:
        """What all rankings so far took, those that failed too."""
        return self._spent if self._connection is None else self._connection.ledger.spent

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Cancels what runs, and closes the connections."""
        self._closed = True
        for running in list(self._running):
            running.cancel()
        connection, self._spent, self._connection = self._connection, self.spent, None
        if connection is not None and self._settings.client is None:
            submit(connection.close()).result()

    def __getstate__(self) -> dict[str, Any]:
        """Settings, and what was spent; a copy makes its own connections."""
        return {**self.__dict__, "_spent": self.spent, "_connection": None, "_running": set()}

    async def _play_all(self, jobs: Sequence[Job], played: SimpleQueue[_Played | None]) -> None:
        connection = self._connected()
        limit, loop = self._settings.time_limit, connection.loop
        deadline = None if limit is None else loop.time() + limit
        waiting = iter(jobs)

        async def work() -> None:
            for job in waiting:  # shared: whoever is done with one takes the next
                calls = Calls(connection, deadline)
                while not job.done:
                    await self._play_round(job, calls)
                    was_read = asyncio.Event()
                    played.put((job, partial(loop.call_soon_threadsafe, was_read.set)))
                    if not job.done:  # else it is the reader's from here on
                        await was_read.wait()

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._settings.concurrency, len(jobs))):
                workers.create_task(work())

    async def _play_round(self, job: Job, calls: Calls) -> None:
        try:
            await self.ask(job, calls)
        except StopError as stop:
            assert job.player is not None
            rest = "what they would have decided follows the last answers, else the input order"
            left = job.player.remaining
            job.repairs.append(Repair("stopped", f"{stop} with {left} round(s) to come; {rest}"))
            job.player.finish()
        except Exception as error:
            job.error = error
        job.stats = self.stats(job, calls.used)

    def stats(self, job: Job, used: Usage) -> Stats:
        """What a job took."""
        prices = self._settings.prices
        return Stats(
            tokens_naive=used.prompt,
            tokens_encoded=used.prompt - used.cached,
            tokens_generated=used.completion,
            calls=used.calls,
            cost=0.0 if prices is None else prices.cost(used),
        )

    def _connected(self) -> Connection:
        """The connection of the loop that runs; another one after a fork."""
        if self._connection is None or self._connection.loop is not asyncio.get_running_loop():
            ledger = Ledger(self._settings.budget, self.spent)
            self._connection = Connection(self._settings, ledger)
        return self._connection
