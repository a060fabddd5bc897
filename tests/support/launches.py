"""Counts what a GPU would be asked to run: operators that compute or copy, and Triton kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

_ALLOCATES = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")


class Launches(TorchDispatchMode):
    """While it lasts, `names` counts launches by name: no views, no allocations."""

    def __init__(self) -> None:
        super().__init__()
        self.names = Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, out = func.overloadpacket.__name__, func(*args, **(kwargs or {}))
        if func._schema.is_mutable or not (name in _ALLOCATES or _same_memory(out, args)):
            self.names[name] += 1
        return out


def _same_memory(out: Any, args: Any) -> bool:
    """Whether nothing was computed: a view, or a cast or copy that was not needed."""
    tensors = isinstance(out, Tensor) and bool(args) and isinstance(args[0], Tensor)
    return tensors and out.untyped_storage().data_ptr() == args[0].untyped_storage().data_ptr()


@contextmanager
def counted_launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Of interpreted kernels their names, and not what the interpreter does for them."""
    from triton.runtime import interpreter

    mode = Launches()
    run = interpreter.GridExecutor.__call__

    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:
        mode.names[self.fn.__name__] += 1
        with _disable_current_modes():
            return run(self, *args, **kwargs)

    with monkeypatch.context() as patch, mode:
        patch.setattr(interpreter.GridExecutor, "__call__", launch)
        yield mode.names
