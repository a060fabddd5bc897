"""How a module's forward is replaced, on the instance, and put back.

The module stays what it is: its class, its weights, its names. What stands in for its forward is bound as a method, so
that a deep copy of the model has a method of its own. Outside of inference mode (a trainer's forward of the same
weights) the class's forward runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, Protocol

import torch
from torch import nn

_STATE = "_rranker_fused"


class Fused(Protocol):
    """What stands in for the forward of one module, which is handed to it first."""

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """What the module's own forward would return."""
        ...


def free(module: nn.Module) -> bool:
    """Whether the forward of `module` is its class's, and calling the module does no more than that."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)  # noqa: SLF001 (torch has no public way to ask)
    return "forward" not in vars(module) and not any(hooks)


def attach(module: nn.Module, fused: Fused) -> None:
    """Has `fused` stand in for the forward of `module`."""
    vars(module)[_STATE] = fused
    vars(module)["forward"] = MethodType(_forward, module)


def unfuse(lm: Any, keep: Collection[str] | None = None) -> Counter[str]:
    """Gives all modules their own forward back, or those whose class is not named in `keep`; how many of each class."""
    names = Counter[str]()
    for module in _fused_modules(lm):
        name = type(module).__name__
        if keep is None or name not in keep:
            del vars(module)["forward"], vars(module)[_STATE]
            names[name] += 1
    return names


@contextmanager
def unfused(lm: Any) -> Iterator[None]:
    """While it lasts, every module's own forward runs."""
    lifted = [(module, vars(module).pop("forward")) for module in _fused_modules(lm)]
    try:
        yield
    finally:
        for module, forward in lifted:
            vars(module)["forward"] = forward


def _fused_modules(lm: Any) -> list[nn.Module]:
    return [module for module in lm.modules() if _STATE in vars(module) and "forward" in vars(module)]


def _forward(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_inference_mode_enabled():
        return type(module).forward(module, *args, **kwargs)
    return vars(module)[_STATE](module, *args, **kwargs)
