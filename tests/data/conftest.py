"""Fixtures of the readers' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.question_files import QuestionFiles


@pytest.fixture
def files(tmp_path: Path) -> QuestionFiles:
    """A data folder without files."""
    return QuestionFiles(tmp_path)
