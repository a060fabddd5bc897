"""Ranking methods by name."""

from __future__ import annotations

from typing import TypeVar

from ..choices import one_of
from .episode import Episode

T = TypeVar("T", bound=type[Episode])
_METHODS: dict[str, type[Episode]] = {}


def register(method: T) -> T:
    """Makes a method known by its `name`; also as a decorator. Raises ValueError when the name is taken."""
    if _METHODS.get(method.name, method) is not method:
        raise ValueError(f"there is a method {method.name!r} already, {_METHODS[method.name].__qualname__}")
    _METHODS[method.name] = method
    return method


def method_names() -> tuple[str, ...]:
    """All names, in the order in which they were registered."""
    return tuple(_METHODS)


def method_class(name: str) -> type[Episode]:
    """The method of that name. Raises ValueError, naming the known ones, for any other."""
    return _METHODS[one_of(name, "method", method_names())]
