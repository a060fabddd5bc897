"""An extension of griffe: examples in docstrings are code in the API reference, where they stand in no section."""

from __future__ import annotations

import re

import griffe

DOCTEST = re.compile(r"(?:^ *>>> .*\n?)(?:^ *\S.*\n?)*", re.MULTILINE)


class FencedDoctests(griffe.Extension):
    """Puts fences around every run of lines that begins with a prompt."""

    def on_module(self, *, mod: griffe.Module, **_: object) -> None:
        """Changes the docstring of a module."""
        change(mod)

    def on_class(self, *, cls: griffe.Class, **_: object) -> None:
        """Changes the docstring of a class."""
        change(cls)

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
