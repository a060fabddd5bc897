"""What a command does not bring in."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

from rranker.cli.loading import without

UNUSED = "this"  # a module of Python's own that nobody imports


def test_a_hidden_package_counts_as_not_installed_and_is_back_after() -> None:
    assert UNUSED not in sys.modules
    with without(UNUSED, "json"):
        assert find_spec(UNUSED) is None
        with pytest.raises(ModuleNotFoundError):
            import_module(UNUSED)
        assert find_spec("json") is not None  # imported already: whoever has it goes on with it
    assert find_spec(UNUSED) is not None
    assert UNUSED not in sys.modules
