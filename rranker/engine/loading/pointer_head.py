"""The file of a pointer head, beside a checkpoint's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..readout import LateInteraction, PointerReadout, Pooling
from .files import check_tensors

HEAD_FILE = "pointer_head.safetensors"
LATE = ("maxsim", "gate", "gate_bias")
"""The tensors of a head with late interaction, as `LateInteraction` takes them; `FEEDBACK` may follow."""
FEEDBACK = "feedback"


def load_head(folder: Path, hidden: int, pooling: Pooling = "last") -> dict[str, Tensor]:
    """`w` [D] and `W` [D, D] of the pointer head beside a checkpoint's weights, D being `hidden`.

    Where states are compared with the prefix's, `scale` [1] too, and, of a head with late interaction, `maxsim` [1],
    `gate` [D], `gate_bias` [1] and, where there is feedback, `feedback` [1]. See `pointer_fitness`.

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
    wanted = {"w": [hidden], "W": [hidden, hidden]} | ({} if pooling == "last" else {"scale": [1]})
    if pooling != "last" and {*LATE, FEEDBACK} & set(found):
        wanted |= {"maxsim": [1], "gate": [hidden], "gate_bias": [1]}
        wanted |= {FEEDBACK: [1]} if FEEDBACK in found else {}
    if found != wanted:
        needed, held = (
            ", ".join(f"{name} {shape}" for name, shape in sorted(x.items())) for x in (wanted, found)
        )
        raise ValueError(
            f"{path} does not fit the model, whose hidden states have {hidden} numbers: it must hold {needed} (pooling "
            f"is {pooling!r}), not {held}"
        )
    for name, tensor in head.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} holds numbers that are not finite")
    return head


def load_pointer(
    folder: Path, hidden: int, device: torch.device, pooling: Pooling = "last"
) -> PointerReadout:
    """The readout of the folder's head. Raises what `load_head` raises."""
    head = {name: tensor.to(device) for name, tensor in load_head(folder, hidden, pooling).items()}
    names = [*LATE, *({FEEDBACK} & set(head))]
    late = LateInteraction(*(head[name].float() for name in names)) if LATE[0] in head else None
    return PointerReadout(head["w"], head["W"], head.get("scale"), late, pooling)
