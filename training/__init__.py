"""Training. What it needs beyond the library is the extra `train`."""

from __future__ import annotations

import sys
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


def command(name: str) -> str:
    """What starts a command of this package, as `python -m rranker.training.sft` of "sft".

    In the root of a checkout, where this process was started by the short name, so are the others.
    """
    started = getattr(sys.modules["__main__"], "__spec__", None)
    short = started is not None and started.name.partition(".")[0] == "training"
    return f"python -m {'' if short else 'rranker.'}training.{name}"
