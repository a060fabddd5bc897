"""What trains must not hold anything that tests."""

from __future__ import annotations

import numpy as np
import pytest

from rranker import data
from rranker.data import RankingExample
from rranker.data.passage import TEST_YEARS
from rranker.training.examples.sources import Sources
from rranker.training.sft.config import SftConfig

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources()


def drawn(sources: Sources, name: str, draws: int = 12) -> list[RankingExample]:
    rng = np.random.default_rng(0)
    return [example.ranking for _ in range(draws) for example in sources.draw(name, rng).examples]


@pytest.mark.parametrize("name", list(SftConfig().weights))
def test_lessons_are_whole(sources: Sources, name: str) -> None:
    examples = sources.draw(name, np.random.default_rng(1)).examples
    again = sources.draw(name, np.random.default_rng(1)).examples
    assert [example.ranking for example in examples] == [example.ranking for example in again]
    for example in examples:
        assert example.teacher_scores.shape == (len(example.ranking.candidates),)
        assert np.isfinite(example.teacher_scores).all()
        assert 0 <= example.teacher_weight <= 1
        assert len(example.ranking.candidates) >= 2


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


def test_no_test_prompt_of_the_router_trains(sources: Sources) -> None:
    _, test = data.routerbench()
    assert {row.query for row in test}.isdisjoint(case.query for case in drawn(sources, "routing", 40))
    assert {row.query for row in test}.isdisjoint(row.query for row in sources.rows)


@pytest.mark.parametrize("name", ["movies", "music", "games"])
def test_no_test_user_trains(sources: Sources, name: str) -> None:
    """Neither as a example nor in the counts of the teacher."""
    found = sources.interactions[name]
    counted = {user for users in sources.neighbours[name]._users for user in users}
    assert counted.isdisjoint(found.test_users)
    stretches = {
        tuple(found.titles[i][:64] for i in found.histories[user][at : at + 3])
        for user in found.train_users
        for at in range(len(found.histories[user]))
    }
    for case in drawn(sources, name, 3):
        assert tuple(case.query[:3]) in stretches
