"""What users pass for a model, a device and a type, checked before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..hardware import best_device

_DTYPES = {
    "float32": torch.float32,
    "float": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "half": torch.float16,
    "fp16": torch.float16,
}


_ONE_DEVICE = (
    "the engine runs a whole model on one device, and spreads none over several. Give `device` ('cuda:1'), or leave it "
    "out to have it chosen, or `devices` for a replica on each of several; a model too large for one GPU needs a "
    "smaller `dtype`, or a larger GPU"
)
# Of transformers' `from_pretrained`: what they are called here, or why they are not.
_FOREIGN = {
    "device_map": _ONE_DEVICE,
    "max_memory": _ONE_DEVICE,
    "torch_dtype": "it is called `dtype` here",
    "attn_implementation": "attention is the engine's own: `attention_backend` chooses how it is computed",
    "trust_remote_code": "no code from checkpoints is run: only models that transformers itself has are loaded",
    **dict.fromkeys(
        ("quantization_config", "load_in_8bit", "load_in_4bit"),
        "weights are not quantised while they are loaded; docs/loading.md says what can be given",
    ),
}


def refuse_transformers_arguments(given: Iterable[str]) -> None:
    """Raises TypeError for the first name that is an argument of transformers', saying what there is in its place."""
    for name in given:
        if name in _FOREIGN:
            raise TypeError(f"there is no argument {name!r}: {_FOREIGN[name]}")


def as_dtype(dtype: object) -> torch.dtype | None:
    """A type of weights, by name or as torch's own; None stays None (chosen by device).

    Raises ValueError for a type that the engine does not run in, TypeError for anything that names none.
    """
    if dtype is None:
        return None
    if not isinstance(dtype, str | torch.dtype):
        raise TypeError(f"dtype must be 'float32', 'bfloat16' or 'float16', not {_shown(dtype)}")
    found = _DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None and str(dtype).removeprefix("torch.") in ("int8", "qint8"):
        raise ValueError(
            f"dtype must be 'float32', 'bfloat16' or 'float16', not {str(dtype)!r}: products in int8 do not keep "
            "rankings (measured: docs/loading.md)"
        )
    if found is None:
        hint = " (leave it out to have it chosen)" if dtype == "auto" else ""
        raise ValueError(f"dtype must be 'float32', 'bfloat16' or 'float16', not {str(dtype)!r}{hint}")
    return found


def as_device(device: object) -> torch.device:
    """A device that can be used here; None is the first GPU when there is one, else the CPU.

    Raises ValueError for a device that torch does not know or that this machine does not have, TypeError for
    anything that names none.
    """
    if device is None:
        return best_device()
    if isinstance(device, int) and not isinstance(device, bool):
        device = f"cuda:{device}"
    if not isinstance(device, str | torch.device):
        several = f": {_ONE_DEVICE}" if isinstance(device, Collection) else ""
        raise TypeError(f"device must be 'cpu' or 'cuda', not {_shown(device)}{several}")
    name = str(device)
    if name.split(":")[0].lower() == "gpu":
        raise ValueError(f'device {name!r} is not a name that torch knows: use "cuda{name[3:]}"')
    if name == "auto":
        raise ValueError(f"device 'auto' is not a name that torch knows: {_ONE_DEVICE}")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device must be 'cpu' or 'cuda' (or 'cuda:1', …), not {name!r}") from error
    if found.type == "meta":
        raise ValueError("device 'meta' holds no numbers: use 'cpu' or 'cuda'")
    if found.type == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = "torch sees no GPU" if built else "this build of torch has no CUDA"
        raise ValueError(f"device {name!r} cannot be used: {why}. Use 'cpu', or leave `device` out")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(
            f"device {name!r} cannot be used: there are {count} GPUs, cuda:0 to cuda:{count - 1}"
        )
    try:
        torch.empty(1, device=found)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ValueError(
            f"device {name!r} cannot be used: this build of torch puts no tensor there. Use 'cpu' or 'cuda'"
        ) from error
    return found


def as_devices(device: object, devices: object, *, loaded: bool) -> list[Any]:
    """Where replicas go, for `as_device`, from what `device` and `devices` say; `loaded`: the model is in memory.

    Raises TypeError or ValueError for what is no list of devices, and where they contradict each other.
    """
    if devices is None:
        return [device]
    if isinstance(devices, str) or not isinstance(devices, Sequence):
        raise TypeError(f"devices must be a list, such as ['cuda:0', 'cuda:1'], not {_shown(devices)}")
    if device is not None:
        raise ValueError("device and devices both say where the model runs: leave one of them out")
    if not devices:
        raise ValueError("devices is empty: name one at least, or leave it out to have one chosen")
    if loaded and len(devices) > 1:
        raise ValueError(
            "a loaded model is used where it is, on one device: give its checkpoint folder, of which each of several "
            "devices gets a replica, or leave devices out"
        )
    return list(devices)


def as_source(model: object) -> Path | str | None:
    """Where a checkpoint is: a folder's or a GGUF file's path, a hub name (a str), or None for the bundled one.

    A string that looks like a path (it starts with `.`, `~` or a separator, has more than one separator, or the
    folder before its separator exists here) is never looked up on the hub, so that a misspelt folder is an
    error at once. `~` is expanded.

    A folder with a GGUF file and no config.json stands for the file.

    Raises FileNotFoundError when there is no such folder, ValueError for a folder with several GGUF files, TypeError
    for anything but a str or a path.
    """
    if model is None:
        return None
    if not isinstance(model, str | os.PathLike):
        kind = type(model).__name__
        if hasattr(model, "state_dict"):
            raise TypeError(
                f"model must be a checkpoint folder or a hub name, not the {kind} itself: make a "
                "`Ranker(model, tokenizer=tokenizer)`, or write both to a folder with `save_pretrained` and pass that"
            )
        raise TypeError(f"model must be a checkpoint folder or a hub name, not {_shown(model)}")
    text = os.fspath(model)
    if not isinstance(text, str):
        raise TypeError(f"model must be text, not bytes: pass {os.fsdecode(text)!r}")
    if not text.strip():
        raise ValueError("model is empty: give a checkpoint folder or a hub name, or leave it out")
    path = Path(text).expanduser()
    # os.path, not pathlib: a text too long for a name is no folder, rather than an OSError.
    if os.path.isdir(path):
        return _folder_or_its_gguf(path)
    if path.suffix.lower() == ".gguf" and os.path.isfile(path):
        return path
    if os.path.exists(path):
        raise FileNotFoundError(
            f"{path} is a file: give the checkpoint folder that holds it, or a .gguf file"
        )
    if isinstance(model, str) and not _looks_like_a_path(text):
        return model
    raise FileNotFoundError(f"no model {text!r}: there is no such folder here{_whereabouts(text, path)}")


def _folder_or_its_gguf(folder: Path) -> Path:
    if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        return folder
    files = sorted(folder.glob("*.[gG][gG][uU][fF]"))
    if len(files) > 1:
        raise ValueError(
            f"{folder} holds {len(files)} GGUF files: give the path of one, such as {str(files[0])!r} (others: "
            f"{', '.join(file.name for file in files[1:4])}{', …' if len(files) > 4 else ''})"
        )
    return files[0] if files else folder


def _looks_like_a_path(text: str) -> bool:
    if text[0] in ".~/" or "\\" in text or Path(text).is_absolute() or text.lower().endswith(".gguf"):
        return True
    # `owner/name` is a hub name, unless `owner` is a folder here.
    return text.count("/") > 1 or text.endswith("/") or ("/" in text and os.path.isdir(Path(text).parent))


def _whereabouts(text: str, path: Path) -> str:
    """What is known of a folder that is missing: the last part of its path that exists, and names like it."""
    from difflib import get_close_matches

    parent = next(folder for folder in path.absolute().parents if os.path.isdir(folder))
    if parent != path.absolute().parent:
        return f" ({parent} exists, {path.absolute().relative_to(parent).parts[0]!r} in it does not)"
    folders = [entry.name for entry in parent.iterdir() if entry.is_dir()]
    near = get_close_matches(path.name, folders, 1)
    if near:
        return f"; did you mean {str(path.with_name(near[0]))!r}?"
    if text.count("/") == 1 and text[0] not in ".~/":
        return f" (it is not looked up on the hub, because the folder {str(path.parent)!r} exists)"
    return f" ({parent} has no folder of that name)"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
