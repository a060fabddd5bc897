"""Results of a long job, written as they come, so that a job that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rranker.cli.locked import locked
from rranker.files import stamps


def fingerprint(settings: Mapping[str, Any], files: list[str], piped: bytes | None = None) -> str:
    """What makes two jobs the same: settings, files by name, size and time of change, and all that stdin held.

    `files` may name folders, of which all files count: a model's.
    """
    known: list[Any] = [stamp for name in files for stamp in stamps(name)]
    if piped is not None:  # it has no name and no time: only its content tells it from another
        known.append(hashlib.sha256(piped).hexdigest())
    return hashlib.sha256(json.dumps([settings, known], sort_keys=True).encode()).hexdigest()


class Journal:
    """One JSON line a finished query, behind a first line that says of which job. `done` holds what was there already.

    A line that was being written when the job was killed is dropped. Raises ValueError for a file of another job,
    BlockingIOError for one that another process is writing.
    """

    def __init__(self, path: Path, job: str) -> None:
        self.path, self.done = path, dict[str, list[tuple[str, float]]]()
        self._file = locked(path)
        try:
            self._go_on((json.dumps({"rranker rerank": job}) + "\n").encode())
        except BaseException:
            self._file.close()
            raise

    def _go_on(self, head: bytes) -> None:
        """Reads what is done, and leaves the file as long as its last whole line."""
        whole = self._file.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        if whole and not whole.startswith(head):
            raise ValueError(
                f"{self.path} belongs to a job with other input or settings, or other weights: finish that one, or "
                "delete the file"
            )
        for line in whole.splitlines()[1:]:
            query, ranked = json.loads(line)
            self.done[query] = [(name, score) for name, score in ranked]
        self._file.truncate(len(whole))
        if not whole:
            self._file.write(head)
            self._file.flush()

    def add(self, query: str, ranked: list[tuple[str, float]]) -> None:
        """Keeps one query's result; it is the operating system's when this returns."""
        self._file.write((json.dumps([query, ranked]) + "\n").encode())
        self._file.flush()
        self.done[query] = ranked

    def remove(self) -> None:
        """The job is done."""
        if os.name == "nt":  # which deletes no open file
            self._file.close()
        self.path.unlink(missing_ok=True)
        self._file.close()  # last, so that nobody can have taken what is deleted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keeps the file for the job that goes on from it; where nothing is done yet, there is nothing to keep."""
        if self.done or self._file.closed:
            self._file.close()
        else:
            self.remove()
