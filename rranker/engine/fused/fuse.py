"""Finds what can be fused in a loaded model, and fuses it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn

from .attach import Fused, attach, free
from .gates import gate_of
from .layers import first_norm, layer_of
from .norms import norm_of
from .rotary import rotary_of


def fuse(lm: Any) -> Counter[str]:
    """Has kernels stand in for the small operators of `lm` (a transformers model); how many modules of each class.

    A module is fused where what it computes is one of the kernels' to the last bit, and left as it is elsewhere.
    Weights are shared. `unfuse` takes all of it back.
    """
    found: list[tuple[nn.Module, Fused]] = []
    for module in lm.base_model.modules():
        fused: Fused | None = norm_of(module) or gate_of(module) or rotary_of(module)
        if fused is not None:
            found.append((module, fused))
        if isinstance(module, nn.ModuleList):
            found.extend(_layers(list(module)))
    for module, fused in found:
        if free(module):
            attach(module, fused)
    return Counter(type(module).__name__ for module, _ in found)


def _layers(modules: list[nn.Module]) -> list[tuple[nn.Module, Fused]]:
    following = [*map(first_norm, modules[1:]), None]
    layers = ((module, layer_of(module, norm)) for module, norm in zip(modules, following, strict=True))
    return [(module, layer) for module, layer in layers if layer is not None]
