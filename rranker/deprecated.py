"""Names that were public in an earlier release: still understood for one more, with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any

SETTINGS = {
    "attention": "attention_mode",
    "backend": "attention_backend",
    "order": "relayout",
    "max_tokens_in_flight": "kv_cache_tokens",
    "step_tokens": "max_batch_tokens",
}
"""Arguments of `Ranker` until 0.1, and what each is called now."""

_VALUES = {"relayout": {"given": "keep"}}


def renamed_members(module: str, new: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` for members that were renamed: old name → present one, with a DeprecationWarning."""

    def member(name: str) -> Any:
        if name not in new:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is now called {new[name]}", DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[module], new[name])

    return member


def renamed(given: Mapping[str, Any], of: Callable[..., Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an earlier release under their present names, with a DeprecationWarning for each.

    `given` are the arguments that `of` does not know by name; `present` those it was called with, by their present
    names. Raises TypeError for one that never existed, suggesting the nearest, and for one given by both names.
    """
    known = [name for name in signature(of).parameters if name not in ("self", "old")]
    result: dict[str, Any] = {}
    for name, value in given.items():
        new = SETTINGS.get(name)
        if new is None:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise TypeError(f"there is no argument {name!r}{hint}")
        if present.get(new) is not None:
            raise TypeError(f"{new!r} was given twice, the other time by its old name {name!r}")
        warnings.warn(f"{name!r} is now called {new!r}", DeprecationWarning, stacklevel=4)
        result[new] = _VALUES.get(new, {}).get(value, value) if isinstance(value, str) else value
    return result
