"""Which checkpoint to go on from: the last one that was written to its end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MARK = "complete"


class CheckpointError(RuntimeError):
    """A checkpoint could not be written to its end."""


def mark_complete(folder: Path) -> None:
    """Written last, after everything else has reached the disk: a kill leaves a folder without it."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    (folder / MARK).touch()


def checkpoints(output: str | Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    folders = [p for p in Path(output).glob("checkpoint-*") if (p / MARK).exists()]
    return sorted(folders, key=lambda p: int(p.name.rpartition("-")[2]))


def last_good(output: str | Path) -> Path | None:
    """The newest complete checkpoint of a run, if it has one."""
    folders = checkpoints(output)
    return folders[-1] if folders else None


def drop_partial(output: str | Path) -> None:
    """Removes checkpoints that a kill or a full disk cut short."""
    for path in Path(output).glob("checkpoint-*"):
        if not (path / MARK).exists():
            shutil.rmtree(path)
