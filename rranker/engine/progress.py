"""Who of a group of requests has moved on, told to whoever watches them."""

from __future__ import annotations

from .requests import Handle


class Progress:
    """Handles that are not told as done yet, each with the passes that were told of it.

    Another thread may be in the middle of a step for them: a handle's verdicts are there before its pass is counted,
    and its pass is counted before it is done.
    """

    def __init__(self) -> None:
        self._passes: dict[Handle, int] = {}

    @property
    def pending(self) -> list[Handle]:
        """Those not told as done."""
        return list(self._passes)

    def add(self, handle: Handle) -> None:
        """Watches one more."""
        self._passes[handle] = handle.passes

    def news(self) -> bool:
        """Whether there is something to tell."""
        return any(handle.done or handle.passes > told for handle, told in self._passes.items())

    def tell(self) -> tuple[list[Handle], list[Handle]]:
        """Those that took part in further passes, and those that are done now; of these nothing more is told."""
        done = [handle for handle in self._passes if handle.done]
        now = {handle: handle.passes for handle in self._passes}
        moved = [handle for handle, told in self._passes.items() if now[handle] > told]
        for handle in done:
            del now[handle]
        self._passes = now
        return moved, done
