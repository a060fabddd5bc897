"""The file of item factors, beside a checkpoint's weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rranker.item_factors import ItemFactors

from .files import check_tensors

FACTORS_FILE = "item_factors.safetensors"
_TYPES = {"keys": np.int64, "spaces": np.uint8, "factors": np.int8, "scales": np.float32, "decay": np.float32}


def load_item_factors(folder: Path) -> ItemFactors | None:
    """The factors beside a checkpoint's weights; None where there are none.

    The file holds `keys` int64 [V], `spaces` uint8 [V], `factors` int8 [V, K], which count `scales` float32 [V], and
    `decay` float32 [1]. Raises ValueError, naming it, when it is damaged or holds anything else.
    """
    from safetensors.numpy import load_file

    path = folder / FACTORS_FILE
    if not path.exists():
        return None
    check_tensors(path)
    held = load_file(path)
    found = {name: array.dtype for name, array in held.items()}
    fits = found == _TYPES and held["scales"].shape == held["keys"].shape and held["decay"].shape == (1,)
    if not fits or not np.isfinite(held["scales"]).all():
        told = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in sorted(held.items()))
        raise ValueError(
            f"{path} must hold keys int64 [V], spaces uint8 [V], factors int8 [V, K], scales float32 [V] and decay "
            f"float32 [1], all finite, not {told}"
        )
    try:
        return ItemFactors(
            held["keys"],
            held["spaces"].astype(np.int64),
            held["factors"] * held["scales"].reshape(-1, 1),
            float(held["decay"][0]),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def save_item_factors(factors: ItemFactors | None, folder: Path) -> None:
    """Writes them beside a checkpoint's weights, each vector in eight bits a number.

    None: the model has none, and those of a model that was in the folder before go.
    """
    from safetensors.numpy import save_file

    if factors is None:
        (folder / FACTORS_FILE).unlink(missing_ok=True)
        return
    scales = np.abs(factors.factors).max(-1, initial=0.0) / 127
    scaled = factors.factors / np.where(scales > 0, scales, 1.0)[:, None]
    held = {
        "keys": factors.keys,
        "spaces": factors.spaces.astype(np.uint8),
        "factors": np.rint(scaled).astype(np.int8),
        "scales": scales.astype(np.float32),
        "decay": np.array([factors.decay], dtype=np.float32),
    }
    save_file(held, folder / FACTORS_FILE)
