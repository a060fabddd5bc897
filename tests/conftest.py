"""Fixtures that tests of more than one folder use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def sound_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3 in a folder that nobody may change."""
    from tests.support.checkpoints import save_checkpoint, small_tokenizer  # most tests need no transformers

    return save_checkpoint(tmp_path_factory.mktemp("sound"), "qwen3", small_tokenizer())


@pytest.fixture
def folder(sound_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(sound_checkpoint, tmp_path / "model"))


@pytest.fixture
def served() -> Iterator[Callable[..., Any]]:
    """Starts local servers for the `openai` client, by how they answer; all end with the test."""
    from contextlib import ExitStack

    from tests.support.chat_server import serving

    pytest.importorskip("openai", reason="needs the extra openai")
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serving(answer))
