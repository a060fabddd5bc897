"""Fixtures that tests of more than one folder use."""

from __future__ import annotations

import shutil
from pathlib import Path

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
