"""Attention backends behind one protocol, chosen by name."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec

from torch import device

from .protocol import AttentionBackend, StepAttention

BACKENDS = {
    "triton": (".triton", "TritonAttention"),
    "varlen": (".varlen", "VarlenAttention"),
    "flash": (".varlen", "flash_or_torch"),
    "flashinfer": (".flashinfer", "FlashInferAttention"),
    "cpu": (".cpu", "CpuAttention"),
    "reference": (".reference", "ReferenceAttention"),
}
"""By name: the module, imported when it is asked for, as some need optional packages; and what makes the backend."""


def default_backend(on: device) -> AttentionBackend:
    """The fastest backend for a device: Triton on CUDA and ROCm (both are "cuda" to torch)."""
    if on.type == "cuda":
        if find_spec("triton") is not None:
            return attention_backend("triton")
        warnings.warn(
            "Triton is not installed, so attention runs through dense masks, slowly: pip install 'rranker[triton]'",
            stacklevel=2,
        )
    return attention_backend("cpu" if on.type == "cpu" else "reference")


def attention_backend(name: str) -> AttentionBackend:
    """The backend of that name.

    Raises ValueError, naming the known ones, for any other; ImportError, naming the extra, when what it needs is not
    installed.
    """
    if not isinstance(name, str) or name not in BACKENDS:
        *others, last = map(repr, BACKENDS)
        raise ValueError(f"unknown attention backend {name!r}: use {', '.join(others)} or {last}")
    module, constructor = BACKENDS[name]
    backend: AttentionBackend = getattr(import_module(module, __name__), constructor)()
    return backend


__all__ = ["BACKENDS", "AttentionBackend", "StepAttention", "attention_backend", "default_backend"]
