"""The Ranker of a command, loaded as quickly as may be."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rranker.cli.errors import ExitCode, failing_as

if TYPE_CHECKING:
    from rranker.ranker import Ranker

_UNNEEDED = ("accelerate", "scipy")
"""What transformers imports where it is installed (for placing weights on several devices, and for a loss of object
detection), a tenth of a cold start, and what the bundled model has no use for."""


def load_ranker(**settings: Any) -> Ranker:
    """A Ranker; `devices` are as the option says. Raises Failure for a wrong setting, or a model that is not there."""
    if settings.get("devices") is not None:
        settings["devices"] = settings["devices"].split(",")
    # Loading makes many objects and drops few: about a seventh of the time would go into looking for cycles among them.
    gc.disable()
    try:
        with (
            failing_as(ExitCode.USAGE),
            without(*_UNNEEDED) if settings.get("model") is None else nullcontext(),
        ):
            from rranker import Ranker

            return Ranker(**settings)
    finally:
        gc.enable()


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Inside, those that are not imported yet count as not installed: that is what None in `sys.modules` means."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
