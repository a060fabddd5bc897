"""Training. What it needs beyond the library is the extra `train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def train_extra() -> Iterator[None]:
    """Around what imports optional packages: one that is missing is an ImportError with the cure."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "rranker").startswith("rranker"):  # one of our own: nothing to install mends that
            raise
        raise ImportError(
            f"training needs the package {error.name!r}: pip install 'rranker[train]'"
        ) from error
