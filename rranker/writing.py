"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


def writing_failed(error: Exception) -> bool:
    """Whether an error came from writing a file. The writers are in Python, Rust and C++, each with errors of its own.

    torch's writer raises plain RuntimeErrors, as do a GPU that fails and a CPU that runs out of memory.
    """
    return isinstance(error, OSError | SafetensorError) or any(
        word in str(error) for word in ("PytorchStreamWriter", "inline_container")
    )


def write_whole(path: Path, text: str) -> None:
    """Written beside and renamed: a kill or a full disk leaves what was there before."""
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A draft beside `path` to write to, which takes its place at the end.

    A kill or a full disk leaves the folder that was there before, or none, and never a part of the new one.
    """
    draft, before = (path.with_name(f"{path.name}.{end}") for end in ("part", "before"))
    shutil.rmtree(draft, ignore_errors=True)
    try:
        yield draft
        if path.exists():  # a folder can only be renamed to where none is
            shutil.rmtree(before, ignore_errors=True)
            path.rename(before)
        draft.rename(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    shutil.rmtree(before, ignore_errors=True)
