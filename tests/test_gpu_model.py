"""The predictions on the page are those that the model makes, and the model knows what bounds a pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import gpu_model
from bench.gpu_model import QWEN25_3B, List, Pass, passes

PAGE = Path(__file__).parents[1] / "docs/kernels.md"


def test_the_page_has_what_the_model_prints():
    lines = gpu_model.lines()
    assert len(lines) > 15
    assert "\n".join(lines) in PAGE.read_text(), "python -m bench.gpu_model prints the new table"


def test_weights_are_those_of_the_published_model():
    assert QWEN25_3B.weights == pytest.approx(2.77e9, rel=0.01)  # "2.77B non-embedding", says its card


def test_all_rounds_are_played_and_guessing_saves_passes():
    steps = list(passes(QWEN25_3B, List(200, 50, 100, 8), 4))
    right = list(passes(QWEN25_3B, List(200, 50, 100, 8), 4, held=1.0))
    wrong = list(passes(QWEN25_3B, List(200, 50, 100, 8), 4, held=0.0))
    assert len(right) < len(steps) < len(wrong) <= 49
    assert sum(step.questions for step in right) == 4 * 49  # none in vain
    assert sum(step.rows for step in right) == 4 * (200 + 50 * 100 + 49 * 8)


def test_few_rows_are_bound_by_launches_and_many_by_arithmetic():
    few, many = Pass(8, 8 * 5000), Pass(30_000, 30_000 * 500)
    eager = gpu_model.pass_seconds(QWEN25_3B, few)
    assert eager == 40 * 36 * gpu_model.H100.launch
    assert gpu_model.pass_seconds(QWEN25_3B, few, graph=True) < eager / 3
    assert gpu_model.pass_seconds(QWEN25_3B, many) == gpu_model.pass_seconds(QWEN25_3B, many, graph=True)
