"""What kernel tests share: one thread, and products of the interpreter that are a GPU's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The interpreter multiplies many small matrices: threads only get in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the interpreter's product; on a GPU, nothing.

    Its own takes the bits of bfloat16 for integers, and leaves fp32 to a BLAS whose sums depend on where in a matrix
    a row is, as a tensor core's do not. Here bfloat16 is widened, which is exact, and sums are rounded once.
    """
    if torch.cuda.is_available():
        return
    import triton.language as tl
    from triton.runtime import interpreter

    def wide(operand: Any) -> np.ndarray:
        data = operand.data
        if operand.dtype.scalar == tl.bfloat16:
            data = (data.astype(np.uint32) << 16).view(np.float32)
        return data.astype(np.float64)

    def create_dot(_: Any, a: Any, b: Any, d: Any, *options: Any) -> Any:
        product = (wide(a) @ wide(b)).astype(np.float32)
        return interpreter.TensorHandle(product + d.data, d.dtype.scalar)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", create_dot)
