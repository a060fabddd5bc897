"""Rankings by the million, over many GPUs or machines: docs/scale.md. Extra `ray`."""

from .job import rank_files
from .parts import Counts, read_results

__all__ = ["Counts", "rank_files", "read_results"]
