"""Lists with labels: which candidates count as fitting, and what a list of each kind holds."""

from __future__ import annotations

import numpy as np
import pytest

from rranker.data import BENCHMARK_TASKS, Question
from rranker.data.labelled import (
    irrelevant_lists,
    labelled_cases,
    mixed_lists,
    question_lists,
    relevant_lists,
)
from rranker.data.passage import Hit, Topic


def topic(name: str, grades: list[int | None]) -> Topic:
    hits = tuple(Hit(f"{name}{i}", f"{name} passage {i}", grade) for i, grade in enumerate(grades))
    return Topic(name, f"what is {name}", hits)


TOPICS = [topic("a", [0, 1, 2, 3, 2]), topic("b", [0, 0, 3]), topic("c", [2, 2, 1, 0])]


def drawn(make, k=3, count=12):
    return make(TOPICS, k, count, np.random.default_rng(0))


def test_passages_fit_from_grade_two_on() -> None:
    grades = {hit.text: hit.grade for topic in TOPICS for hit in topic.hits}
    cases = drawn(mixed_lists)
    assert len(cases) == 12
    for case in cases:
        assert len(set(case.candidates)) == 3
        assert case.relevance == [float(grades[text] >= 2) for text in case.candidates]
        assert all(text.startswith(case.query[-1]) for text in case.candidates)
    assert {case.query for case in cases} == {topic.query for topic in TOPICS}


def test_relevant_lists_hold_nothing_else_and_two_at_least() -> None:
    cases = drawn(relevant_lists)
    assert {case.query for case in cases} == {"what is a", "what is c"}  # b has one only
    assert all(set(case.relevance) == {1.0} and len(case.candidates) >= 2 for case in cases)


def test_irrelevant_lists_are_another_topics() -> None:
    for case in drawn(irrelevant_lists):
        assert set(case.relevance) == {0.0}
        assert not any(text.startswith(case.query[-1]) for text in case.candidates)
    with pytest.raises(ValueError, match="two topics at least"):
        irrelevant_lists(TOPICS[:1], 3, 1, np.random.default_rng(0))


def test_questions_come_with_their_answer_and_with_anothers_texts() -> None:
    questions = [
        Question(f"q{i}", f"what is {i}", (f"answer {i}",), (f"miss {i}", f"near {i}")) for i in range(5)
    ]
    cases = question_lists(questions, 3, 10, np.random.default_rng(0))
    assert [sum(case.relevance) for case in cases] == [1.0, 0.0] * 5
    for case in cases:
        own = str(case.query)[-1]
        assert {text[-1] == own for text in case.candidates} == {1.0 in case.relevance}
        assert all(
            text == f"answer {own}"
            for text, fits in zip(case.candidates, case.relevance, strict=True)
            if fits
        )
    assert question_lists(questions[:1], 3, 10, np.random.default_rng(0)) == []


def test_a_count_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="count must be at least 1"):
        labelled_cases("passage-5", "validation", 0)


@pytest.mark.data
@pytest.mark.parametrize("task", ["passage-7", "rec-movie", "router-cost"])
def test_every_candidate_of_every_task_has_a_label(task: str) -> None:
    assert task in BENCHMARK_TASKS
    cases = labelled_cases(task, "validation", 20)
    assert cases == labelled_cases(task, "validation", 20)
    assert len(cases) == 20
    assert {label for case in cases for label in case.relevance} == {0.0, 1.0}
    if task == "passage-7":
        shares = sorted({np.mean(case.relevance) for case in cases})
        assert shares[0] == 0.0
        assert shares[-1] == 1.0
        assert len({case.id.partition("-")[0] for case in cases}) == 4
    elif task == "rec-movie":
        assert {sum(case.relevance) for case in cases} == {1.0}
