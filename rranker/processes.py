"""Loading models where there are several threads and processes: one at a time, and never across a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()
_loaded_in: int | None = None


@contextmanager
def importing() -> Iterator[None]:
    """Held while torch and transformers come in: their circular imports, met by two threads at once, can fail."""
    with _lock:
        yield


@contextmanager
def building() -> Iterator[None]:
    """Held while a model is loaded. From here on this process may not be forked and go on ranking in the child."""
    global _loaded_in
    with _lock:
        _loaded_in = os.getpid()
        yield


def check_process() -> None:
    """Raises RuntimeError in a child forked from a process that had loaded a model.

    The threads of torch's pool do not exist there, so the first large operator would wait for them for ever.
    """
    if _loaded_in is not None and _loaded_in != os.getpid():
        raise RuntimeError(
            f"a Ranker was loaded in process {_loaded_in}, and this process was forked from it: torch's threads do not "
            "survive a fork, so ranking here would hang. Start workers with the 'spawn' method "
            "(multiprocessing.get_context('spawn')), or load the Ranker in the child, and only there"
        )


def _new_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_new_lock)
