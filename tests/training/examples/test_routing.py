"""What is told of a routed query: its own results, and those of queries like it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from rranker.data import RouterRow
from rranker.training.examples import routing
from rranker.training.examples.invented import FOR_CODE, STANDINGS, invent
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


def targets(vectors: object) -> np.ndarray:
    """[rows, models] by what all models do for each query."""
    made = Routing(rows(120), 1.0, vectors)  # type: ignore[arg-type]
    every = np.arange(len(MODELS))
    return np.array([made.target(row, every, np.ones(len(every)), "performance", 1.0) for row in range(120)])


def test_queries_alike_outvote_a_slip() -> None:
    alone, smoothed = targets(None), targets(halves)
    slip, sound = 5, 6
    assert alone[slip].argmax() == 1
    assert smoothed[slip].argmax() == smoothed[sound].argmax() == 0
    assert smoothed[slip, 1] > smoothed[sound, 1]  # its own result still counts
    np.testing.assert_allclose(smoothed.sum(1), 1)


def test_among_some_models_the_best_of_these_is_the_best() -> None:
    """The query's own best is not in the list: the others share what is wanted."""
    made = Routing(rows(120), 1.0, None)
    of_two = made.target(6, np.array([2, 3]), np.ones(2), "performance", 1.0)
    np.testing.assert_allclose(of_two, 0.5)


def test_a_draw_tells_what_the_row_says() -> None:
    made = Routing(rows(120), 1.0, halves)
    rng, names_alone = np.random.default_rng(0), 0
    for _ in range(200):
        example = made.draw(rng)
        case = example.ranking
        row = made.rows[int(case.id.rpartition("q")[2])]
        assert case.query == row.query
        names = [text.partition(":")[0] for text in MODELS]
        places = np.array([names.index(text.partition(":")[0]) for text in case.candidates])
        assert 4 <= len(set(places)) == len(places)
        names_alone += all(":" not in text for text in case.candidates)
        if case.id.startswith("performance"):
            expected = made.target(made.rows.index(row), places, np.ones(len(places)), "performance", 1.0)
            np.testing.assert_allclose(np.exp(example.teacher_scores), expected)
    assert names_alone / 200 == pytest.approx(routing.LOOKS["names"], abs=0.08)


PRICED = (
    "Alpha: a model. $2 per M tokens",
    "Beta: for code. $1 in, $4 out per M tokens",
    "Gamma: another. $0.50 per M tokens",
    "Delta: without a price",
)


def look(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every list looks like this."""
    monkeypatch.setattr(routing, "LOOKS", {name: 1.0})


@pytest.mark.parametrize("name", ["repriced", "invented"])
def test_a_told_price_is_what_an_answer_costs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """All models answer everything at what their price says, so by cost the order is that of the told prices."""
    look(monkeypatch, name)
    answers = (1.0,) * 4
    made = Routing([RouterRow("q", "query", answers, (2e-3, 4e-3, 5e-4, 1e9), PRICED)], 1.0, None)
    rng, seen = np.random.default_rng(0), set[str]()
    for _ in range(100):
        case = made.draw(rng).ranking
        told = {
            text: value
            for text, value in zip(case.candidates, case.relevance, strict=True)
            if "Delta" not in text
        }
        prices = [max(float(price) for price in prices_of(text)) for text in told]
        if case.id.startswith("cost"):
            for one, of_one in zip(prices, told.values(), strict=True):
                for other, of_other in zip(prices, told.values(), strict=True):
                    assert one <= other or of_one < of_other
        seen |= set(told)
    assert len(seen) > 250  # of 300: other words or other prices in each
    assert any("Alpha" in text for text in seen) == (name == "repriced")


def prices_of(text: str) -> list[str]:
    """The dollars that a text speaks of."""
    return [a or b for a, b in re.findall(r"\$(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?) USD", text)]


def test_invented_models_are_said_to_be_as_good_as_they_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        strong, weak, same = invent(PRICED[::2] + PRICED[3:], [0.9, 0.3, 0.9], rng, renamed=True).texts
        assert any(words in strong for words in STANDINGS[0][1])
        assert any(words in weak for words in STANDINGS[-1][1])
        assert same == PRICED[3]
    coder = invent(PRICED[1:2], [0.65], rng, renamed=True).texts[0]
    assert any(words in coder for words in FOR_CODE)


def test_what_a_text_without_a_price_costs_stays() -> None:
    made = invent(PRICED, [0.5] * 4, np.random.default_rng(0), renamed=False)
    assert made.factors[3] == 1.0
    assert made.texts[3] == PRICED[3]
    assert all(
        text.startswith(before.partition(" $")[0]) for text, before in zip(made.texts, PRICED, strict=True)
    )
