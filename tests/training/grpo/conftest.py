"""A policy to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rranker.training.policy.model_config import ModelConfig
from tests.support.toys import save_pointer_policy


@pytest.fixture
def pointer(tmp_path: Path, tokenizer: Any, tiny: ModelConfig) -> Path:
    return save_pointer_policy(tokenizer, tiny, tmp_path / "start")
