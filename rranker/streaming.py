"""Rounds as they are decided, and the ranking they end in: plays of one query, for `for` and for `async for`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Self

from .batches import Update
from .types import Ranking, Round


class _Heard:
    """What was said of one query so far: rounds that nobody has taken yet, and the ranking."""

    def __init__(self) -> None:
        self.rounds = deque[Round]()
        self._ranking: Ranking | None = None

    def take(self, update: Update | None) -> None:
        """Keeps what an update brings."""
        if update is not None:
            assert not isinstance(update.result, Exception), "a stream raises its errors"
            self.rounds += update.rounds
            self._ranking = update.result

    @property
    def ranking(self) -> Ranking:
        """The ranking. Raises RuntimeError while rounds are still to be read."""
        if self._ranking is None or self.rounds:
            raise RuntimeError("the ranking is decided by its last round: read the stream to its end first")
        return self._ranking


class RankingStream(Iterator[Round]):
    """Yields each round when it is decided; then `ranking` is there. The rounds are `ranking.rounds`.

    Nothing is computed ahead of what is read, but for rounds that share a pass. Closing it (`close`, the end of a
    `with`, or letting it go) before its end frees what it holds. Not to be shared between threads.
    """

    def __init__(self, updates: Generator[Update | None]) -> None:
        self._updates, self._heard = updates, _Heard()

    def __next__(self) -> Round:
        while not self._heard.rounds:
            self._heard.take(next(self._updates))
        return self._heard.rounds.popleft()

    @property
    def ranking(self) -> Ranking:
        """The whole ranking. Raises RuntimeError while rounds are still to be read."""
        return self._heard.ranking

    def close(self) -> None:
        """Ends it and frees what it holds; rounds that were not read are lost."""
        self._updates.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncRankingStream(AsyncIterator[Round]):
    """The async twin of `RankingStream`: `async for played in stream: …`, then `stream.ranking`.

    Closing it (`aclose`, or the end of an `async with`) or cancelling the task that reads it frees what it holds.
    """

    def __init__(self, updates: AsyncGenerator[Update]) -> None:
        self._updates, self._heard = updates, _Heard()

    async def __anext__(self) -> Round:
        while not self._heard.rounds:
            self._heard.take(await anext(self._updates))
        return self._heard.rounds.popleft()

    @property
    def ranking(self) -> Ranking:
        """The whole ranking. Raises RuntimeError while rounds are still to be read."""
        return self._heard.ranking

    async def aclose(self) -> None:
        """Ends it and frees what it holds; rounds that were not read are lost."""
        await self._updates.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
