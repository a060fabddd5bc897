"""A checkpoint's files: there, whole, and named when they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_POINTER = b"version https://git-lfs"


def parse_json(path: Path) -> Any:
    """What a JSON file holds. Raises ValueError, naming the file and the position, when it is none."""
    data = path.read_bytes()
    refuse_pointer(path, data)
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{path} is not valid JSON: {error.msg} at {where}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: it is not UTF-8 text (byte {error.start})") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises what `parse_json` raises, and ValueError when it is another value."""
    found = parse_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, not {type(found).__name__}")
    return found


def check_json(folder: Path) -> None:
    """Raises ValueError for the first JSON file of the folder that cannot be read."""
    for path in sorted(folder.glob("*.json")):
        read_json(path)


def check_tensors(path: Path) -> None:
    """Raises ValueError, naming the file, when it is not a whole safetensors file."""
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        refuse_pointer(path, file.read(len(_POINTER)))
    try:
        with safe_open(path, "pt"):
            pass
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or was not copied to its end ({path.stat().st_size:,} bytes): {error}. "
            "Copy or download it again"
        ) from error


def check_weights(folder: Path) -> None:
    """Raises FileNotFoundError when weights are missing, ValueError when a file of theirs is damaged."""
    for path in weight_files(folder):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: {folder / INDEX} says that it holds weights")
        check_tensors(path)


def incomplete(folder: Path) -> FileNotFoundError:
    """What to say of a folder that lacks a part of a checkpoint."""
    return FileNotFoundError(
        f"{folder} is a folder, but not a complete checkpoint: it needs config.json, the tokenizer's files and "
        "*.safetensors weights, as `save_pretrained` writes them (pickled weights are not read)"
    )


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, there or not. Raises what `check_weights` raises."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise incomplete(folder)
    names = read_json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ValueError(f"{folder / INDEX} names no weights: it needs a `weight_map`")
    return [folder / name for name in sorted(set(names.values()))]


def refuse_pointer(path: Path, data: bytes) -> None:
    """Raises ValueError when `data`, the beginning of a file, is a git-lfs pointer."""
    if data.startswith(_POINTER):
        raise ValueError(
            f"{path} is a git-lfs pointer, not the file itself: run `git lfs pull` in its repository, or download "
            "it with `hf download`"
        )
