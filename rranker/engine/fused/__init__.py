"""Fused kernels in the place of a loaded model's small operators: on that model alone, for inference alone."""

from .attach import unfuse, unfused
from .fuse import fuse
from .judged import fuse_judged, wants_fused

__all__ = ["fuse", "fuse_judged", "unfuse", "unfused", "wants_fused"]
