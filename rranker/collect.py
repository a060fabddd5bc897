"""All results of many requests, in their order, from the updates of those who play them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Self

from .batches import Update
from .types import Ranking


class _Results:
    """Results by the index of their request, with a bar if `progress`."""

    def __init__(self, total: int, progress: bool) -> None:
        from tqdm.auto import tqdm

        self._results: list[Ranking | Exception | None] = [None] * total
        self._bar = tqdm(total=total, disable=not progress, unit="query")

    def take(self, update: Update | None) -> None:
        """Keeps what an update brings."""
        if update is not None and update.result is not None:
            self._results[update.index] = update.result
            self._bar.update()

    def all(self) -> list[Ranking | Exception]:
        """All of them. Raises RuntimeError when one is missing."""
        found = [result for result in self._results if result is not None]
        if len(found) < len(self._results):
            raise RuntimeError(f"the scorer gave {len(found)} results for {len(self._results)} queries")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def collect(
    updates: Generator[Update | None], total: int, *, progress: bool = False
) -> list[Ranking | Exception]:
    """Plays to the end. Raises what the updates raise."""
    with closing(updates), _Results(total, progress) as results:
        for update in updates:
            results.take(update)
        return results.all()


async def acollect(
    updates: AsyncGenerator[Update], total: int, *, progress: bool = False
) -> list[Ranking | Exception]:
    """As `collect`."""
    async with aclosing(updates):
        with _Results(total, progress) as results:
            async for update in updates:
                results.take(update)
            return results.all()
