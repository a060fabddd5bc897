"""What a run on a GPU has found: said and written line by line, so that a late fault loses nothing."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.gpu_measure import Line, table


class Report:
    """Prints and flushes each line, and appends it to a file. `measured`: on a GPU, at full size."""

    def __init__(self, measured: bool, file: Path | None = None) -> None:
        self._measured, self._file = measured, file
        self.faults = list[str]()
        """What was wrong, in a line each."""

    def say(self, text: str) -> None:
        print(text, flush=True)
        if self._file is not None:
            with self._file.open("a") as file:
                file.write(text + "\n")

    def head(self) -> None:
        """The table's first two lines."""
        self.say("\n" + table([], self._measured))

    def line(self, line: Line) -> None:
        """A row of the table."""
        self.say(table([line], self._measured).splitlines()[-1])

    def fault(self, what: str) -> None:
        self.faults.append(what)
        self.say(f"FAULT: {what}")

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What fails inside is a fault with its traceback; what comes after it goes on."""
        try:
            yield
        except Exception as error:
            self.say(traceback.format_exc())
            self.fault(f"{name}: {error!r}")
