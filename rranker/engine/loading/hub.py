"""Checkpoints from the Hugging Face hub: downloaded once, read from the hub's cache afterwards."""

from __future__ import annotations

from pathlib import Path

from .adapters import ADAPTER_WEIGHTS
from .files import INDEX, WEIGHTS
from .item_factors import FACTORS_FILE
from .pointer_head import HEAD_FILE

# Never weights in other formats, nor the copies that some repositories keep in subfolders.
_SMALL = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", FACTORS_FILE)
_WEIGHTS = (WEIGHTS, "model-*.safetensors", INDEX, HEAD_FILE, ADAPTER_WEIGHTS)


def download(name: str, *, weights: bool, folder: str | None = None) -> Path:
    """The folder in the hub's cache with a checkpoint's config, tokenizer and item factors, or its weights.

    `folder`: those of its folders whose names fit this pattern, instead of those that lie in none.

    The hub is asked once for the newest commit, without retries; what is cached already serves when it cannot be
    reached.

    Raises FileNotFoundError when there is no such model there, or when it is not cached and the hub cannot be
    reached; PermissionError when its owner gives it only to those who have asked.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    wanted = _WEIGHTS if weights else _SMALL
    try:
        if folder is not None:
            return Path(snapshot_download(name, allow_patterns=[f"{folder}/{one}" for one in wanted]))
        return Path(snapshot_download(name, allow_patterns=list(wanted), ignore_patterns=["*/*"]))
    except HFValidationError as error:
        raise FileNotFoundError(
            f"no model {name!r}: there is no such folder here, and no name on the Hugging Face hub looks like that "
            "(owner/name)"
        ) from error
    except GatedRepoError as error:
        raise PermissionError(
            f"the model {name!r} is on the Hugging Face hub, but not for everybody: accept its terms at "
            f"https://huggingface.co/{name} and log in (`hf auth login`)"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"no model {name!r}: there is no such folder here, and the Hugging Face hub has none of that name that "
            "you may see. Check the spelling (private ones need `hf auth login`)"
        ) from error
    except LocalEntryNotFoundError as error:
        raise FileNotFoundError(
            f"no model {name!r}: there is no such folder here, and the Hugging Face hub could not be reached "
            f"({_reason(error)}). Give a checkpoint folder; or check the name and the network; or, offline, download "
            f"it first (`hf download {name}`) and try again; or leave `model` out to use the bundled one"
        ) from error


def _reason(error: Exception) -> str:
    cause = error.__cause__
    return str(error if cause is None else cause).splitlines()[0]
