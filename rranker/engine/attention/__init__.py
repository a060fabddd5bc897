"""Attention backends behind one protocol, chosen by name."""

from __future__ import annotations

from torch import device

from .protocol import AttentionBackend, StepAttention


def default_backend(on: device) -> AttentionBackend:
    """The fastest backend for a device."""
    return attention_backend("cpu" if on.type == "cpu" else "reference")


def attention_backend(name: str) -> AttentionBackend:
    """The backend of that name. Raises ValueError, naming the known ones, for any other."""
    if name == "reference":
        from .reference import ReferenceAttention

        return ReferenceAttention()
    if name == "cpu":
        from .cpu import CpuAttention

        return CpuAttention()
    raise ValueError(f"unknown attention backend {name!r}: use 'cpu' or 'reference'")


__all__ = ["AttentionBackend", "StepAttention", "attention_backend", "default_backend"]
