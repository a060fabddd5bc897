"""Values that callers choose from a few: one rule, and one message."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any


def one_of(value: Any, what: str, known: Sequence[Any]) -> Any:
    """`value`, where it is one of `known`; `what` names it in errors. Raises ValueError for any other."""
    # An array is not hashable: compared with a name it gives an answer for each of its members.
    if not isinstance(value, Hashable) or value not in known:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, known))}, not {value!r}")
    return value
