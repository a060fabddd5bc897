"""New keys and values into the store: the kernel, and its reference in PyTorch."""

from .kernel import write
from .reference import write_reference

__all__ = ["write", "write_reference"]
