"""What kernel tests share: one thread, and arithmetic of the interpreter that is a GPU's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.support.interpreter import patch_casts, patch_products


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The interpreter multiplies many small matrices: threads only get in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of the interpreter that are a GPU's; on a GPU, nothing."""
    patch_products(monkeypatch)


@pytest.fixture
def exact_casts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Casts to bfloat16 of the interpreter that round as a GPU's; on a GPU, nothing."""
    patch_casts(monkeypatch)
