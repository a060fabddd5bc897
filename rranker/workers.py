"""Blocking generators, read by an event loop: threads take their steps, in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Workers:
    """Threads in which generators are read, each at most by one thread at a time.

    With one thread, generators that pause (yield None) after each step take turns: where a step serves all (an
    engine's), everybody is served by every step, and the thread is always the same one, which matters to libraries that
    keep a pool of threads for each thread that calls them.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rranker")

    async def read(self, generator: Generator[T | None]) -> AsyncGenerator[T]:
        """All that the generator yields but None. It is closed when this is closed, or its reader cancelled.

        A step in the middle of which that happens is taken to its end first, in its thread; nobody waits for it.
        """
        running: Future[tuple[list[T], bool]] | None = None
        try:
            more = True
            while more:
                running = self._pool.submit(take_step, generator)
                items, more = await asyncio.wrap_future(running)
                for item in items:
                    yield item
        finally:
            if running is not None:
                running.add_done_callback(lambda _: generator.close())

    def close(self) -> None:
        """Lets the threads go once they have done what they were given."""
        self._pool.shutdown(wait=False)


def take_step(generator: Generator[T | None]) -> tuple[list[T], bool]:
    """What a generator yields up to the next None, and whether there is more to come."""
    items = list[T]()
    for item in generator:
        if item is None:
            return items, True
        items.append(item)
    return items, False
