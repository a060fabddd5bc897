"""Which checkpoint to go on from: the last one that was written to its end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARK = "complete"
SETTINGS = "settings.json"


class CheckpointError(RuntimeError):
    """A checkpoint could not be written to its end."""


def mark_complete(folder: Path, settings: Mapping[str, Any]) -> None:
    """Written last, after all else and the run's settings have reached the disk: a kill leaves a folder without it."""
    (folder / SETTINGS).write_text(json.dumps(dict(settings), indent=1), encoding="utf-8")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with open(path, "r+b") as file:  # Windows flushes nothing that is open for reading alone
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


def start_from(output: str | Path, resume: bool, settings: Mapping[str, Any]) -> Path | None:
    """The checkpoint to go on from; None where the run begins.

    Raises FileExistsError when a run would begin beside another's checkpoints, as the one that resumes could not tell
    them apart, and ValueError when the checkpoint was made with other `settings`.
    """
    if not resume:
        if any(Path(output).glob("checkpoint-*")):
            raise FileExistsError(
                f"{output} has checkpoints of a run already: go on with it by --resume true, give another "
                "--output_dir, or delete the folder"
            )
        return None
    checkpoint = last_good(output)
    if checkpoint is None or not (checkpoint / SETTINGS).exists():
        return checkpoint
    saved = json.loads((checkpoint / SETTINGS).read_text(encoding="utf-8"))
    settings = json.loads(json.dumps(dict(settings)))  # lists and numbers as files have them
    changed = [
        f"{name} was {saved[name]!r} and is now {value!r}"
        for name, value in settings.items()
        if name in saved and saved[name] != value
    ]
    if changed:
        raise ValueError(
            f"{checkpoint} was made with other settings: {'; '.join(changed)}. Resume with those, or begin another run "
            "in another --output_dir"
        )
    return checkpoint


def drop_partial(output: str | Path) -> None:
    """Removes checkpoints that a kill or a full disk cut short."""
    for path in Path(output).glob("checkpoint-*"):
        if not (path / MARK).exists():
            shutil.rmtree(path)
