"""Routed queries to learn from by reward: held-out ones apart, and models that nobody has met."""

from __future__ import annotations

import numpy as np
import pytest

from rranker import data
from rranker.data import RouterRow
from rranker.prompts import ROUTING_INSTRUCTIONS
from rranker.training.grpo.arguments import DataArguments, EvaluationArguments
from rranker.training.grpo.data import held_out, mixture

ROUTES = DataArguments(tasks=["routing"], cases=200)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Made-up results of the eleven models; gives what is said of these."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(300):
        scores, costs = rng.integers(0, 2, 11), rng.uniform(1e-5, 1e-3, 11)
        rows.append(RouterRow(f"q{i}", f"query {i}", tuple(map(float, scores)), tuple(costs)))
    monkeypatch.setattr(data, "routerbench", lambda: (rows, []))
    return set(rows[0].candidates)


def test_queries_that_are_held_out_never_train() -> None:
    trained = {case.query for case in mixture(ROUTES, 0).values()}
    held = {case.query for case in held_out(ROUTES, EvaluationArguments(), 0)["routing"]}
    assert trained
    assert held
    assert trained.isdisjoint(held)
    assert all(map(data.in_validation, held))


def test_every_setting_is_drawn_among_models_that_are_known_and_that_are_not(known: set[str]) -> None:
    cases = list(mixture(ROUTES, 0).values())
    assert {case.instruction for case in cases} == set(ROUTING_INSTRUCTIONS.values())
    strange = [not known & set(case.candidates) for case in cases]
    assert 40 < sum(strange) < 160
    assert mixture(ROUTES, 0) == mixture(ROUTES, 0)
