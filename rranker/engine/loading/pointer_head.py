"""The file of a pointer head, beside a checkpoint's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..readout import PointerReadout
from .files import check_tensors

HEAD_FILE = "pointer_head.safetensors"


def load_head(folder: Path, hidden: int) -> dict[str, Tensor]:
    """`w` [D] and `W` [D, D] of the pointer head beside a checkpoint's weights, D being `hidden`.

    Raises FileNotFoundError when the file is missing, ValueError, naming it, when it is damaged or holds anything
    else.
    """
    from safetensors.torch import load_file

    path = folder / HEAD_FILE
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: this checkpoint says it ranks through a pointer head")
    check_tensors(path)
    head: dict[str, Tensor] = load_file(path)
    found = {name: list(tensor.shape) for name, tensor in head.items()}
    if found != {"w": [hidden], "W": [hidden, hidden]}:
        raise ValueError(
            f"{path} does not fit the model, whose hidden states have {hidden} numbers: it must hold w [{hidden}] and "
            f"W [{hidden}, {hidden}], not {', '.join(f'{name} {shape}' for name, shape in sorted(found.items()))}"
        )
    for name, tensor in head.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} holds numbers that are not finite")
    return head


def load_pointer(folder: Path, hidden: int, device: torch.device) -> PointerReadout:
    """The readout of the folder's head. Raises what `load_head` raises."""
    head = load_head(folder, hidden)
    return PointerReadout(head["w"].to(device), head["W"].to(device))
