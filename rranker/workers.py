"""Blocking generators, read by an event loop: threads take their steps, in turn."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")
_reader_gone: ContextVar[Future[None] | None] = ContextVar("reader_gone", default=None)
"""Done when nobody reads on; None where the reader takes the steps itself."""


class Workers:
    """Threads in which generators are read, each at most by one thread at a time.

    With one thread, generators that pause (yield None) after each step take turns: where a step serves all (an
    engine's), everybody is served by every step, and the thread is always the same one, which matters to libraries that
    keep a pool of threads for each thread that calls them.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._process = threads, os.getpid()
        self._pool = self._made()

    async def read(self, generator: Generator[T | None]) -> AsyncGenerator[T]:
        """All that the generator yields but None. It is closed when this is closed, or its reader cancelled.

        A step in the middle of which that happens is taken to its end first, in its thread; nobody waits for it. What
        would keep it waiting hears of it (`when_reader_goes`).
        """
        running: Future[tuple[list[T], bool]] | None = None
        context, gone = copy_context(), Future[None]()
        context.run(_reader_gone.set, gone)
        try:
            more = True
            while more:
                running = self._here().submit(context.run, take_step, generator)
                items, more = await asyncio.wrap_future(running)
                for item in items:
                    yield item
        finally:
            gone.set_result(None)
            if running is not None:
                running.add_done_callback(lambda _: generator.close())

    def close(self) -> None:
        """Lets the threads go once they have done what they were given."""
        self._here().shutdown(wait=False)

    def _here(self) -> ThreadPoolExecutor:
        """The pool; another one in a child, as threads do not survive a fork."""
        if self._process != os.getpid():
            self._process, self._pool = os.getpid(), self._made()
        return self._pool

    def _made(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="rranker")


def when_reader_goes(call: Callable[[], Any]) -> None:
    """Has `call` called, in another thread, once nobody reads on what this generator yields: to the end or cancelled.

    For a step that waits for something outside, which may never come. `call` must be harmless when the wait is over.
    """
    gone = _reader_gone.get()
    if gone is not None:
        gone.add_done_callback(lambda _: call())


def take_step(generator: Generator[T | None]) -> tuple[list[T], bool]:
    """What a generator yields up to the next None, and whether there is more to come."""
    items = list[T]()
    for item in generator:
        if item is None:
            return items, True
        items.append(item)
    return items, False
