"""bfloat16 weights in oneDNN's own layout, packed once: by default it repacks them on every call.

On a step of 16 to 90 rows (a few questions) repacking costs up to half of the time; see `bench/test_onednn.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .hardware import packs

_onednn = torch.ops.mkldnn  # torch has no public name for its packed product


class PackedLinear(nn.Module):
    """A `nn.Linear` for inference on the CPU. Same sums, same rounding; the original weight is let go."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._packed: Tensor = _onednn._reorder_linear_weight(linear.weight.detach())  # noqa: SLF001
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] → [..., out]."""
        out: Tensor = _onednn._linear_pointwise(x, self._packed, self._bias, "none", [], "")  # noqa: SLF001
        return out


def weight_count(model: Any) -> int:
    """Weights of `model` without its input embeddings, packed ones included."""
    embeddings: int = model.get_input_embeddings().weight.numel()
    plain: int = sum(p.numel() for p in model.parameters())
    packed = sum(m.in_features * m.out_features for m in model.modules() if isinstance(m, PackedLinear))
    return plain + packed - embeddings


def packable(lm: Any) -> bool:
    """Whether `lm` is a bfloat16 model on a CPU on which oneDNN packs bfloat16."""
    return lm.device.type == "cpu" and lm.dtype == torch.bfloat16 and packs(torch.bfloat16)


def pack_linears(lm: Any) -> None:
    """Replaces every plain `nn.Linear` of the inner model, in place; embeddings and head stay as they are."""
    for parent in list(lm.base_model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))
