"""RMSNorm, alone and after a residual addition: the kernels, and their references in PyTorch."""

from .kernel import add_norm, norm
from .reference import NormKind, add_norm_reference, norm_reference

__all__ = ["NormKind", "add_norm", "add_norm_reference", "norm", "norm_reference"]
