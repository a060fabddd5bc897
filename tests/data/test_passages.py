"""Search data: judged passages, first-stage lists, questions, test collections, plain text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rranker.data import (
    BM25,
    cacm,
    cranfield,
    data_file,
    judged,
    list_cases,
    movielens,
    passage_cases,
    question_cases,
    squad,
    textbooks,
    trecdl,
    wikipedia,
)

pytestmark = pytest.mark.data


@pytest.mark.parametrize(("year", "queries"), [(19, 43), (20, 54), (21, 53)])
def test_lists_hold_a_hundred_hits_in_rank_order(year: int, queries: int) -> None:
    cases = list_cases(trecdl(year))
    assert len(cases) == queries
    assert {len(case.candidates) for case in cases} == {100}
    assert {grade for case in cases for grade in case.relevance} == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("k", [5, 7, 9])
def test_cases_have_one_relevant_among_judged_zeros(k: int) -> None:
    topics = judged(19)
    grade = {(topic.qid, hit.text): hit.grade for topic in topics for hit in topic.hits}
    cases = passage_cases(topics, k, draws=2)
    assert cases == passage_cases(topics, k, draws=2)
    for case in cases:
        assert len(set(case.candidates)) == k
        for text, value in zip(case.candidates, case.relevance, strict=True):
            found = grade[case.id.removeprefix("dl-"), text]
            assert (found or 0) >= 2 if value else found == 0


def test_squad_articles_do_not_cross_and_near_misses_do_not_answer() -> None:
    train, test = squad()
    assert len(train) + len(test) == 10_570
    assert {q.good for q in train}.isdisjoint({q.good for q in test})
    cases = question_cases(test, 5, limit=40)
    assert len(cases) == 40
    assert all(sum(case.relevance) == 1 and len(case.candidates) == 5 for case in cases)


def test_old_collections() -> None:
    for questions, count in ((cranfield(), 225), (cacm(), 52)):
        assert len(questions) == count
        assert all(set(question.good).isdisjoint(question.bad) for question in questions)
    assert cranfield()[0].text.startswith("what similarity laws must be obeyed")


def test_plain_text_has_no_prefaces() -> None:
    books = textbooks()
    assert len(books) == 12
    assert all(len(book) > 500 and not any("OpenStax" in text for text in book) for book in books)
    assert len(wikipedia()) == 6119


def test_bm25_puts_the_rare_word_first() -> None:
    index = BM25(["the cat sat", "the dog sat on the zebra", "the cat and the dog"])
    assert int(np.argmax(index.scores("the zebra"))) == 1
    assert index.scores("nothing known").tolist() == [0.0, 0.0, 0.0]


def test_a_missing_file_is_named_with_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRANKER_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"squad/questions\.jsonl.*RRANKER_DATA"):
        data_file("squad/questions.jsonl")
    monkeypatch.setenv("RRANKER_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"nowhere.*RRANKER_DATA"):
        movielens()
