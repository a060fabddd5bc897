"""Mends Triton's interpreter (3.6 to 3.9) where its arithmetic is not a GPU's. On a GPU, nothing is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch


def patch_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its product takes the bits of bfloat16 for integers, and leaves fp32 to a BLAS whose sums depend on where in a
    matrix a row is, as a tensor core's do not. Here bfloat16 is widened, which is exact, and sums are rounded once.
    """
    if torch.cuda.is_available():
        return
    import triton.language as tl
    from triton.runtime import interpreter

    def wide(operand: Any) -> np.ndarray:
        data = operand.data
        if operand.dtype.scalar == tl.bfloat16:
            data = _widened(data)
        return data.astype(np.float64)

    def create_dot(_: Any, a: Any, b: Any, d: Any, *options: Any) -> Any:
        product = (wide(a) @ wide(b)).astype(np.float32)
        return interpreter.TensorHandle(product + d.data, d.dtype.scalar)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", create_dot)


def patch_casts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cast to bfloat16 cuts the last bits off. Here it rounds to the nearest, ties to even."""
    if torch.cuda.is_available():
        return
    import triton.language as tl
    from triton.runtime import interpreter

    before = interpreter.InterpreterBuilder.cast_impl

    def cast_impl(self: Any, source: Any, wanted: Any) -> Any:
        kinds = source.dtype.scalar, wanted.scalar
        if kinds == (tl.bfloat16, tl.float32):
            return interpreter.TensorHandle(_widened(source.data), tl.float32)
        if kinds == (tl.float32, tl.bfloat16):
            return interpreter.TensorHandle(_rounded(source.data), tl.bfloat16)
        return before(self, source, wanted)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "cast_impl", cast_impl)


class _AsItWas:
    """In place of a scope: nothing was patched, and nothing is to be restored."""

    def restore(self) -> None:
        pass


def patch_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks through all names of `triton.language` at each call of a function within a kernel, a quarter of its
    time. Here it does so when a kernel is launched, and at the first call of a function that uses other modules.
    """
    if torch.cuda.is_available():
        return
    from triton.runtime import interpreter

    modules, before, patched = (interpreter.tl, interpreter.tl.core), interpreter._patch_lang, set[int]()

    def patch_lang(function: Any) -> Any:
        used = {id(v) for v in function.__globals__.values() if any(v is module for module in modules)}
        if patched and used <= patched:
            return _AsItWas()
        launched, scope = not patched, before(function)
        patched.update(used)
        if launched:
            restore = scope.restore

            def ended() -> None:
                patched.clear()
                restore()

            scope.restore = ended
        return scope

    monkeypatch.setattr(interpreter, "_patch_lang", patch_lang)


def patch_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """It describes the type of each value anew: checks the shape, spells the name, asks a table made for this once.
    Here equal types are described once, a third of its time.
    """
    if torch.cuda.is_available():
        return
    import triton.language as tl
    from triton.runtime import interpreter

    described, find, dtypes = dict[Any, dict[str, Any]](), interpreter._get_np_dtype, dict[Any, np.dtype]()
    describe = tl.block_type.__init__

    def block(self: Any, element_ty: Any, shape: Any) -> None:
        key = element_ty.name, *shape
        if any(type(size) is not int for size in shape):  # in a kernel's own words: not worth a key
            return describe(self, element_ty, shape)
        if key not in described:
            describe(self, element_ty, shape)
            described[key] = self.__dict__.copy()
        self.__dict__.update(described[key])

    def np_dtype(kind: Any) -> np.dtype:
        name = kind.scalar.name
        if name not in dtypes:
            dtypes[name] = find(kind)
        return dtypes[name]

    monkeypatch.setattr(tl.block_type, "__init__", block)
    monkeypatch.setattr(interpreter, "_get_np_dtype", np_dtype)


def _widened(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _rounded(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values).view(np.uint32)
    up = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), 0x7FC0, up).astype(np.uint16)
