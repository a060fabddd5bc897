"""Slots of the KV cache, handed out as contiguous runs under a hard budget."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class SlotAllocator:
    """First-fit allocation of contiguous runs in `[start, start + capacity)`; freed neighbours merge."""

    start: int
    capacity: int
    _free: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._free = [(self.start, self.capacity)] if self.capacity else []

    @property
    def free(self) -> int:
        """Slots that nobody holds, in all runs together."""
        return sum(length for _, length in self._free)

    def allocate(self, length: int) -> int | None:
        """The first slot of a free run of `length` slots, or None when there is none."""
        for place, (start, room) in enumerate(self._free):
            if room >= length:
                self._free[place : place + 1] = [(start + length, room - length)] if room > length else []
                return start
        return None

    def release(self, start: int, length: int) -> None:
        """Gives a run of slots back. Raises ValueError for slots that are free already."""
        runs = sorted([*self._free, (start, length)])
        merged: list[tuple[int, int]] = []
        for begin, size in runs:
            if merged and merged[-1][0] + merged[-1][1] > begin:
                raise ValueError(f"slots {begin}..{begin + size - 1} were released twice")
            if merged and merged[-1][0] + merged[-1][1] == begin:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((begin, size))
        self._free = merged
