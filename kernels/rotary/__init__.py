"""Rotary position embedding of queries and keys: the kernel, and its reference in PyTorch."""

from .kernel import rotate
from .reference import rotate_reference

__all__ = ["rotate", "rotate_reference"]
