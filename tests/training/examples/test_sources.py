"""What trains must not hold anything that tests."""

from __future__ import annotations

import numpy as np
import pytest

from rranker import data
from rranker.data import RankingExample, in_validation
from rranker.data.passage import TEST_YEARS
from rranker.training.examples.example import Pairs
from rranker.training.examples.sources import QUERIES, SOURCES, TEXTS, TOKENS, Sources

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def sources() -> Sources:
    """Of the collections a few small ones, one whose questions recur among them: reading all takes half a minute."""
    return Sources(collections=["qed", "selqa", "policyqa", "squad_nqg"])


def drawn(sources: Sources, name: str, draws: int = 12) -> list[RankingExample]:
    rng = np.random.default_rng(0)
    found = [sources.draw(name, rng).examples for _ in range(draws)]
    return [example.ranking for examples in found if not isinstance(examples, Pairs) for example in examples]


LISTS = [name for name in SOURCES if not name.endswith("-pairs")]


@pytest.mark.parametrize("name", LISTS)
def test_lessons_are_whole(sources: Sources, name: str) -> None:
    examples = sources.draw(name, np.random.default_rng(1)).examples
    again = sources.draw(name, np.random.default_rng(1)).examples
    assert [example.ranking for example in examples] == [example.ranking for example in again]
    for example in examples:
        assert example.teacher_scores.shape == (len(example.ranking.candidates),)
        assert np.isfinite(example.teacher_scores).all()
        assert 0 <= example.teacher_weight <= 1
        assert len(example.ranking.candidates) >= 2


@pytest.mark.parametrize("name", LISTS)
def test_more_room_is_filled_with_more_lists(sources: Sources, name: str) -> None:
    few, usual, many = (
        len(sources.draw(name, np.random.default_rng(1), tokens=tokens).examples)
        for tokens in (1024, TOKENS, 8 * TOKENS)
    )
    assert few == usual == len(sources.draw(name, np.random.default_rng(1)).examples)
    assert many >= 4 * usual


def test_more_room_is_filled_with_more_pairs(sources: Sources) -> None:
    usual, many = (
        sources.draw("movies-pairs", np.random.default_rng(1), tokens=tokens).examples
        for tokens in (TOKENS, 4 * TOKENS)
    )
    assert isinstance(usual, Pairs)
    assert isinstance(many, Pairs)
    assert many.relevance.shape == tuple(2 * size for size in usual.relevance.shape)


def test_no_test_query_and_no_test_passage_of_search_trains(sources: Sources) -> None:
    for year in TEST_YEARS:
        topics = data.judged(year)
        held = {topic.query.lower() for topic in topics}
        assert held.isdisjoint(topic.query.lower() for topic in sources.topics)
        assert held.isdisjoint(str(case.query).lower() for case in drawn(sources, "trecdl"))


def test_no_test_question_or_article_of_squad_trains(sources: Sources) -> None:
    _, test = data.squad()
    texts = {question.good[0] for question in test}
    assert texts.isdisjoint(question.good[0] for question in sources.squad)
    assert texts.isdisjoint(text for question in sources.squad for text in question.bad)
    assert {q.text for q in test}.isdisjoint(case.query for case in drawn(sources, "squad"))
    assert texts.isdisjoint(" ".join(p) for p in sources.cloze.paragraphs)


def test_no_test_or_validation_prompt_of_the_router_trains(sources: Sources) -> None:
    _, test = data.routerbench()
    kept = {case.query for case in data.task_cases("router-cost", "validation")} | {row.query for row in test}
    assert kept.isdisjoint(case.query for case in drawn(sources, "routing", 40))
    assert kept.isdisjoint(row.query for row in sources.routing.rows)


def test_no_validation_topic_or_question_trains(sources: Sources) -> None:
    topics = {topic.query for topic in data.topics("validation")}
    assert topics
    assert topics.isdisjoint(topic.query for topic in sources.topics)
    for questions in (sources.squad, sources.classic, *sources.questions.values()):
        assert questions
        assert not any(in_validation(question.text) for question in questions)


@pytest.mark.parametrize("name", ["movies", "music", "games"])
def test_no_test_or_validation_user_trains(sources: Sources, name: str) -> None:
    """Neither as an example nor in the counts of the teacher."""
    histories = sources.histories(name)
    found = histories.interactions
    stretches = {
        tuple(found.titles[i] for i in found.histories[user][at : at + length])
        for user in found.train_users
        for at in range(len(found.histories[user]))
        for length in (1, 2, 3)
    }
    counted = histories.teacher._users
    expected = np.bincount(
        [item for user in found.train_users for item in found.histories[user]], minlength=len(found.titles)
    )
    assert np.array_equal(counted, expected)
    for case in drawn(sources, name, 3):
        assert tuple(case.query[:3]) in stretches
    for seed in range(4):  # of short histories, and of long ones
        pairs = sources.draw(f"{name}-pairs", np.random.default_rng(seed)).examples
        assert isinstance(pairs, Pairs)
        assert all(tuple(query[:3]) in stretches for query in pairs.queries)


@pytest.mark.parametrize("name", ["movies", "music", "games"])
def test_pairs_are_whole(sources: Sources, name: str) -> None:
    first, again = (sources.draw(f"{name}-pairs", np.random.default_rng(1)).examples for _ in range(2))
    assert isinstance(first, Pairs)
    assert isinstance(again, Pairs)
    assert first.queries == again.queries
    assert first.texts == again.texts
    assert len(first.queries) == QUERIES
    assert len(set(first.texts)) == len(first.texts) == TEXTS
    assert first.relevance.sum(1).tolist() == [1.0] * QUERIES
    candidate = first.teacher_scores > -np.inf
    assert (candidate[first.relevance == 1]).all()
    for query, row in zip(
        first.queries, candidate, strict=True
    ):  # what is in a history is nobody's next item
        shown = set(query)
        assert not any(row[i] for i, text in enumerate(first.texts) if text[:64] in shown)
