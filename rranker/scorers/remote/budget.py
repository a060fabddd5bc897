"""What remote calls cost, and the most they may cost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ...whole import whole_number
from .errors import StopError


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a scorer may spend, over all its rankings; None sets no bound.

    `calls` counts every request that was sent, those that failed too; where no connection came about, nothing was sent.
    `tokens` counts what was read and written
    together, as the server reports it; of calls under way, an estimate (four characters a token, and the longest
    answer) is held back, so only a wrong estimate can overspend.

    Raises TypeError or ValueError for what is no whole number from 0.
    """

    calls: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens"):
            bound = getattr(self, name)
            if bound is not None:
                whole_number(bound, f"the budget of {name}", least=0)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent. `cached` tokens are those of `prompt` that the server had read before."""

    calls: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
        )

    @property
    def tokens(self) -> int:
        """Read and written together."""
        return self.prompt + self.completion


class Ledger:
    """Keeps a budget. All of it happens on one event loop."""

    def __init__(self, budget: Budget, spent: Usage = Usage()) -> None:
        self.budget, self.spent = budget, spent
        self._held, self._under_way, self._changed = 0, 0, asyncio.Condition()

    async def reserve(self, tokens: int) -> None:
        """Holds back a call, and the tokens that it is expected to take; waits while calls under way may leave enough.

        Raises StopError when the budget cannot take it.
        """
        async with self._changed:
            while (lacking := self._lacking(tokens)) is not None:
                if not self._under_way:
                    raise StopError(lacking)
                await self._changed.wait()
            self._under_way += 1
            self._held += tokens

    async def release(self, tokens: int, used: Usage) -> None:
        """Ends a call that held back `tokens` and took what `used` says."""
        async with self._changed:
            self._under_way -= 1
            self._held -= tokens
            self.spent += used
            self._changed.notify_all()

    def _lacking(self, tokens: int) -> str | None:
        """Why another call cannot be afforded as long as those under way are; None when it can."""
        calls, most = self.budget.calls, self.budget.tokens
        if calls is not None and self.spent.calls + self._under_way >= calls:
            return f"the budget of {calls} calls was used up"
        if most is not None and self.spent.tokens + self._held + tokens > most:
            left = max(most - self.spent.tokens, 0)
            return f"the budget of {most} tokens leaves {left}, too few for the next call (about {tokens})"
        return None
