"""Other libraries' bars and warnings while a model is loaded: rranker is silent unless asked.

Ask with `logging.getLogger("rranker").setLevel(logging.INFO)`: then everything is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

logger = logging.getLogger("rranker")


_turn = Lock()
_muted: list[ExitStack] = []  # as many as there are loads in flight; the first one knows what to put back


@contextmanager
def quiet() -> Iterator[None]:
    """Mutes transformers' and the hub's progress bars and warnings inside, and puts everything back afterwards.

    Their switches belong to the process: the first of several loads mutes, the last one puts back. Whoever has asked
    those libraries for more than they say by default (TRANSFORMERS_VERBOSITY=info, HF_HUB_DISABLE_PROGRESS_BARS=0) goes
    on seeing it.
    """
    if logging.NOTSET < logger.level <= logging.INFO:
        yield
        return
    with _turn:
        _muted.append(_mute() if not _muted else ExitStack())
    try:
        yield
    finally:
        with _turn:
            _muted.pop().close()


def _mute() -> ExitStack:
    """Mutes; closing what is returned puts everything back."""
    from huggingface_hub import constants
    from huggingface_hub import utils as hub
    from transformers.utils import logging as transformers

    undo = ExitStack()
    for name in ("transformers", "huggingface_hub"):
        other = logging.getLogger(name)
        if other.getEffectiveLevel() >= logging.WARNING:
            undo.callback(other.setLevel, other.level)
            other.setLevel(logging.ERROR)
    # transformers' switch moves the hub's as well.
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is not False:
        if not hub.are_progress_bars_disabled():
            undo.callback(hub.enable_progress_bars)
        elif transformers.is_progress_bar_enabled():
            undo.callback(hub.disable_progress_bars)
        if transformers.is_progress_bar_enabled():
            undo.callback(transformers.enable_progress_bar)
        transformers.disable_progress_bar()
    return undo
