"""An extension of griffe: what docstrings say outside of sections, as Markdown for the API reference.

Examples become code, and the fields that a class describes, a line or more each, a list.
"""

from __future__ import annotations

import re

import griffe

FIELD = re.compile(r"^(\w+): (?=\S)", re.MULTILINE)
DOCTEST = re.compile(r"(?:^ *>>> .*\n?)(?:^ *\S.*\n?)*", re.MULTILINE)


class Markdown(griffe.Extension):
    """Changes docstrings when they have been read."""

    def on_module(self, *, mod: griffe.Module, **_: object) -> None:
        """Changes the docstring of a module."""
        change(mod)

    def on_class(self, *, cls: griffe.Class, **_: object) -> None:
        """Changes the docstring of a class."""
        change(cls)
        if cls.docstring:
            cls.docstring.value = FIELD.sub(r"- `\1`: ", cls.docstring.value)

    def on_function(self, *, func: griffe.Function, **_: object) -> None:
        """Changes the docstring of a function."""
        change(func)


def change(described: griffe.Object) -> None:
    """Puts fences around the examples in one docstring."""
    if described.docstring:
        described.docstring.value = fenced(described.docstring.value)


def fenced(text: str) -> str:
    """A docstring with its examples in fences."""
    return DOCTEST.sub(lambda match: f"```pycon\n{match[0].rstrip()}\n```\n", text)
