"""What is told of a routed query: its own results, and those of queries like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rranker.data import RouterRow
from rranker.training.examples import routing
from rranker.training.examples.routing import Routing

MODELS = tuple(f"{name}: a model" for name in ("one", "two", "three", "four", "five"))


def rows(count: int) -> list[RouterRow]:
    """The first half is answered by the first model alone, the other by the second; every fifth row is a slip."""
    result = []
    for i in range(count):
        right = (i >= count // 2) != (i % 5 == 0)
        scores = (0.0, 1.0, 0.0, 0.0, 0.0) if right else (1.0, 0.0, 0.0, 0.0, 0.0)
        result.append(RouterRow(f"q{i}", f"query {i}", scores, (1e-3,) * 5, MODELS))
    return result


def halves(texts: Sequence[str]) -> np.ndarray:
    """Queries of one half are alike."""
    late = np.array([int(text.split()[1]) >= len(texts) // 2 for text in texts])
    return np.stack([~late, late], 1).astype(float)


def targets(vectors: object, setting: str = "performance") -> np.ndarray:
    return Routing(rows(120), 1.0, vectors)._target(setting)  # type: ignore[arg-type]


def test_queries_alike_outvote_a_slip() -> None:
    alone, smoothed = targets(None), targets(halves)
    slip, sound = 5, 6
    assert alone[slip].argmax() == 1
    assert smoothed[slip].argmax() == smoothed[sound].argmax() == 0
    assert smoothed[slip, 1] > smoothed[sound, 1]  # its own result still counts
    np.testing.assert_allclose(smoothed.sum(1), 1)


def test_a_draw_tells_what_the_row_says() -> None:
    made = Routing(rows(120), 1.0, halves)
    rng, names_alone = np.random.default_rng(0), 0
    for _ in range(200):
        example = made.draw(rng)
        case = example.ranking
        row = made.rows[int(case.id.rpartition("q")[2])]
        assert case.query == row.query
        names = [text.partition(":")[0] for text in MODELS]
        places = [names.index(text.partition(":")[0]) for text in case.candidates]
        assert 4 <= len(set(places)) == len(places)
        expected = made._target(case.id.partition("-")[0])[made.rows.index(row), places]
        np.testing.assert_allclose(np.exp(example.teacher_scores), expected)
        names_alone += all(":" not in text for text in case.candidates)
    assert names_alone / 200 == pytest.approx(routing.HIDDEN, abs=0.08)
