"""A device without hardware: its tensors compute on the CPU, and every way between it and the host is counted.

Tensors that are "there" say that their device is `meta`, and refuse what a GPU refuses: to meet a tensor of the host.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

THERE = torch.device("meta")


class There(Tensor):
    """A tensor on the simulated device; `inner` computes for it."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> There:
        made: There = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=THERE,
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} outside of the simulated device")


class SimulatedDevice(TorchDispatchMode):
    """While it is entered, the device `meta` computes. `copies` counts `to device`, `to host`, and copies by operator.

    Raises AssertionError for an operator that mixes both sides, and for numbers that came to the device otherwise
    (`torch.tensor(…, device=…)`, an index by a list).
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), func.name()
        if torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"):
            with self:  # in inference mode these come whole
                return func.decompose(*args, **kwargs)
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        for tensor in tensors:
            assert isinstance(tensor, There) or not tensor.is_meta, (
                f"{name} of numbers that nobody sent to the device"
            )
        there = [isinstance(tensor, There) for tensor in tensors]
        on = kwargs.get("device")
        moves_there = (any(there) and on is None) or (on is not None and torch.device(on).type == "meta")
        if on is not None:
            kwargs["device"] = torch.device("cpu")
        if name == "aten::_to_copy" and on is not None and there[0] != moves_there:
            self.copies["to device" if moves_there else "to host"] += 1
        elif name == "aten::copy_":
            moves_there = there[0]
            if there[0] != there[1]:
                self.copies["to device" if there[0] else "to host"] += 1
        elif name == "aten::_local_scalar_dense" and there[0]:
            self.copies["to host"] += 1
        elif any(there):
            host = [t for t, is_there in zip(tensors, there, strict=True) if not is_there and t.ndim]
            assert not host, f"{name} of tensors on both sides"
        args, kwargs = tree_map(lambda x: x.inner if isinstance(x, There) else x, (args, kwargs))
        result = func(*args, **kwargs)
        if name in ("aten::copy_", "aten::set_", "aten::detach_"):
            return result if not moves_there else There(result)
        return tree_map(lambda x: There(x) if moves_there and isinstance(x, Tensor) else x, result)


def inner(tensor: Tensor) -> Tensor:
    """What computes for a tensor on the simulated device; a tensor of the host stays itself."""
    return tensor.inner if isinstance(tensor, There) else tensor


def moved(module: Any) -> Any:
    """A module whose weights and buffers are on the simulated device (which must be entered)."""
    for each in module.modules():
        for name, weight in list(each._parameters.items()):
            if weight is not None:
                each._parameters[name] = torch.nn.Parameter(There(weight.detach()), requires_grad=False)
        for name, buffer in list(each._buffers.items()):
            if buffer is not None:
                each._buffers[name] = There(buffer)
    return module
