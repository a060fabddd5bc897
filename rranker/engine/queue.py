"""Who waits for the engine and who runs in it; a long batch of one caller holds up nobody else."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from .requests import Handle


@dataclass(slots=True)
class RequestQueue:
    """Waiting requests flow by flow, first come first served within one; flows take turns. Not thread-safe."""

    running: list[Handle] = field(default_factory=list)
    _turns: deque[int] = field(default_factory=deque)  # flows that have somebody waiting, the next one first
    _waiting: dict[int, deque[Handle]] = field(default_factory=dict)

    def push(self, handle: Handle) -> None:
        """Appends a request to its flow, which takes its place in turn if it was empty."""
        if handle.flow not in self._waiting:
            self._waiting[handle.flow] = deque()
            self._turns.append(handle.flow)
        self._waiting[handle.flow].append(handle)

    def admit(self, most_rows: int) -> None:
        """Moves requests from waiting to running while the cache has slots and their rows fit one pass.

        Strictly in turn: a large one that does not fit yet is not overtaken, so it cannot starve. `most_rows` bounds
        the rows of the newly admitted together, those of their first question with them; one alone may exceed it.
        """
        rows = 0
        while (handle := self._next()) is not None:
            needed = handle.state.slots + handle.state.suffix_tokens
            if (rows and rows + needed > most_rows) or not handle.state.open():
                return
            rows += needed
            handle.status = "running"
            self.running.append(handle)
            self._pop()
            if handle.flow in self._waiting:
                self._turns.rotate(-1)

    def retire(self) -> None:
        """Gives back the slots of those that are done."""
        for handle in self.running:
            if handle.done:
                handle.state.close()
        self.running = [handle for handle in self.running if not handle.done]

    def cancel(self, handle: Handle) -> None:
        """Ends one that is not done. One that waits leaves at once, with its prompt; one that runs, when it retires."""
        if handle.status == "waiting":
            flow = self._waiting[handle.flow]
            flow.remove(handle)
            if not flow:
                del self._waiting[handle.flow]
                self._turns.remove(handle.flow)
        handle.status = "cancelled"

    def __iter__(self) -> Iterator[Handle]:
        """All of them."""
        yield from self.running
        for flow in self._waiting.values():
            yield from flow

    def _next(self) -> Handle | None:
        """Whose turn it is."""
        return self._waiting[self._turns[0]][0] if self._turns else None

    def _pop(self) -> None:
        """Takes out the first of the flow whose turn it is; a flow without more goes."""
        flow = self._waiting[self._turns[0]]
        flow.popleft()
        if not flow:
            del self._waiting[self._turns.popleft()]
