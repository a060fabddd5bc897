"""Attention backends behind one protocol, chosen by name."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

from torch import device

from .protocol import AttentionBackend, StepAttention


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
    if name == "reference":
        from .reference import ReferenceAttention

        return ReferenceAttention()
    if name == "cpu":
        from .cpu import CpuAttention

        return CpuAttention()
    if name == "triton":
        from .triton import TritonAttention

        return TritonAttention()
    if name == "varlen":
        from .varlen import VarlenAttention

        return VarlenAttention()
    if name == "flash":
        from .varlen import flash_or_torch

        return flash_or_torch()
    if name == "flashinfer":
        from .flashinfer import FlashInferAttention

        return FlashInferAttention()
    raise ValueError(
        f"unknown attention backend {name!r}: use 'triton', 'varlen', 'flash', 'flashinfer', 'cpu' or 'reference'"
    )


__all__ = ["AttentionBackend", "StepAttention", "attention_backend", "default_backend"]
