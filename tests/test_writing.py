"""A folder that a run leaves is whole: a program that waits for it never takes a part of it for the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rranker.writing import whole_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from rranker.writing import whole_folder
with whole_folder(Path(sys.argv[1])) as draft:
    draft.mkdir()
    (draft / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write(folder: Path, *names: str) -> None:
    with whole_folder(folder) as draft:
        draft.mkdir()
        for name in names:
            (draft / name).touch()


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write(tmp_path / "final", "old")
    write(tmp_path / "final", "new")
    assert [path.name for path in tmp_path.rglob("*")] == ["final", "new"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("before", [[], ["old"]])
def test_a_kill_leaves_the_folder_before_or_none(tmp_path: Path, before: list[str]) -> None:
    if before:
        write(tmp_path / "final", *before)
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "final"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "final").glob("*")] == before
    write(tmp_path / "final", "new")
    assert [path.name for path in tmp_path.rglob("*")] == ["final", "new"]


def test_what_fails_leaves_the_folder_before_and_takes_no_room(tmp_path: Path) -> None:
    write(tmp_path / "final", "old")
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "final", "no/such/folder")
    assert [path.name for path in tmp_path.rglob("*")] == ["final", "old"]
