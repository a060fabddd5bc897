"""Anything that answers in words can rank: by every method, always a full permutation, every repair on record."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

import pytest

from rranker import Ranker, Ranking
from rranker.scorers.text import TextQuestion, TextScorer

TEXTS = ["gold", "silver", "bronze", "iron", "lead", "tin"]
VALUE = {text: len(TEXTS) - place for place, text in enumerate(TEXTS)}


class Scripted(TextScorer):
    """Answers by a function of the question."""

    def __init__(self, answer: Callable[[TextQuestion], str | Exception]) -> None:
        self.answer, self.rounds = answer, list[list[TextQuestion]]()

    def complete(self, questions: Sequence[TextQuestion]) -> list[str | Exception]:
        self.rounds.append(list(questions))
        return [self.answer(question) for question in questions]


def honest(question: TextQuestion) -> str:
    """The right answer, in words."""
    best_first = sorted(range(len(question.texts)), key=lambda i: -VALUE[question.texts[i]])
    if question.wants_order:
        return "<think>hm</think>" + " > ".join(f"[{i + 1}]" for i in best_first)
    named = best_first[-1] if question.kind == "exclude" else best_first[0]
    return f"I would name passage [{named + 1}]."


@pytest.mark.parametrize("method", ["iranker", "selection", "dranker"])
def test_every_method_ranks_by_answers(method: str) -> None:
    rng = random.Random(method)
    with Ranker(scorer=Scripted(honest), method=method) as ranker:
        for _ in range(10):
            texts = rng.sample(TEXTS, rng.randint(0, 6))
            ranking = ranker.rank("worth most?", texts)
            assert [item.text for item in ranking] == sorted(texts, key=lambda t: -VALUE[t])
            assert ranking.repairs == ()
            assert len(ranking.rounds) == (
                min(len(texts) // 2, 1) if method == "dranker" else max(len(texts) - 1, 0)
            )
            for played in ranking.rounds:
                assert sum(played.probabilities) == 1


@pytest.mark.parametrize(
    "words",
    [
        "[{best}] is the most relevant. [{worst}] is the least relevant.",
        "Least relevant: [{worst}]. Most relevant: [{best}].",
        "The best is [{best}], the worst is [{worst}].",
        "Best: [{best}]\nWorst: [{worst}]",
    ],
)
@pytest.mark.parametrize("method", ["iranker", "selection"])
def test_an_answer_that_says_more_than_was_asked_is_taken_for_what_was(method: str, words: str) -> None:
    def answer(question: TextQuestion) -> str:
        places = sorted(range(len(question.texts)), key=lambda i: -VALUE[question.texts[i]])
        return words.format(best=places[0] + 1, worst=places[-1] + 1)

    with Ranker(scorer=Scripted(answer), method=method) as ranker:
        ranking = ranker.rank("worth most?", TEXTS[::-1])
    assert [item.text for item in ranking] == TEXTS
    assert ranking.repairs == ()


def test_a_batch_asks_one_question_of_each_query_a_round() -> None:
    scorer = Scripted(honest)
    with Ranker(scorer=scorer) as ranker:
        found = ranker.rank_batch([("q", TEXTS[:n]) for n in (0, 1, 3, 6)], progress=False)
    assert [len(ranking) for ranking in found] == [0, 1, 3, 6]
    assert [len(asked) for asked in scorer.rounds] == [2, 2, 1, 1, 1]


def test_top_k_of_selection_stops_asking() -> None:
    scorer = Scripted(honest)
    with Ranker(scorer=scorer, method="selection") as ranker:
        ranking = ranker.rank("q", TEXTS[::-1], top_k=2)
    assert len(scorer.rounds) == 2
    assert [item.text for item in ranking[:2]] == ["gold", "silver"]
    assert sorted(ranking.order) == list(range(6))


def test_an_order_that_is_broken_is_repaired_and_reported() -> None:
    with Ranker(scorer=Scripted(lambda q: "[2] > [9] > [2] > [1]"), method="dranker") as ranker:
        ranking = ranker.rank("q", ["a", "b", "c", "d"])
    assert ranking.order == [1, 0, 2, 3]
    assert [(r.kind, r.index) for r in ranking.repairs] == [
        ("out_of_range", None),
        ("repeated", 1),
        ("missing", 2),
        ("missing", 3),
    ]
    assert all(r.message.startswith("round 1, ") for r in ranking.repairs)


def test_an_answer_that_names_nobody_takes_the_last_and_says_so() -> None:
    with Ranker(scorer=Scripted(lambda q: "I cannot decide.")) as ranker:
        ranking = ranker.rank("q", ["first", "second", "third"])
    assert ranking.order == [0, 1, 2]
    assert [(r.kind, r.index) for r in ranking.repairs] == [("unparsed", 2), ("unparsed", 1)]


def test_repairs_name_the_candidate_of_the_input_however_the_round_counted() -> None:
    """In the second round the survivors are counted anew; the repair still points at the caller's candidate."""

    def answer(question: TextQuestion) -> str:
        return "[1] is the worst" if len(question.texts) == 3 else "nobody"

    with Ranker(scorer=Scripted(answer)) as ranker:
        ranking = ranker.rank("q", ["a", "b", "c"])
    assert ranking.order == [1, 2, 0]
    assert [(r.kind, r.index) for r in ranking.repairs] == [("unparsed", 2)]


def test_equal_texts_are_one_candidate_to_it() -> None:
    scorer = Scripted(honest)
    with Ranker(scorer=scorer) as ranker:
        ranking = ranker.rank("q", ["iron", "gold", "iron"])
    assert [q.texts for asked in scorer.rounds for q in asked] == [("iron", "gold")]
    assert ranking.order == [1, 0, 2]


def test_an_error_fails_its_query_only() -> None:
    def answer(question: TextQuestion) -> str | Exception:
        return TimeoutError("too slow") if "tin" in question.texts else honest(question)

    with Ranker(scorer=Scripted(answer)) as ranker:
        found = ranker.rank_batch([("q", TEXTS), ("q", TEXTS[:5])], progress=False, on_error="return")
        assert isinstance(found[0], TimeoutError)
        assert found[1].order == [0, 1, 2, 3, 4]
        with pytest.raises(TimeoutError, match="too slow"):
            ranker.rank("q", TEXTS)


def test_an_answer_that_is_no_text_fails_its_query_only() -> None:
    with Ranker(scorer=Scripted(lambda q: None if "tin" in q.texts else honest(q))) as ranker:  # type: ignore[arg-type,return-value]
        found = ranker.rank_batch([("q", TEXTS), ("q", TEXTS[:5])], progress=False, on_error="return")
    assert isinstance(found[0], TypeError)
    assert "text must be str or bytes, not NoneType" in str(found[0])
    assert found[1].order == [0, 1, 2, 3, 4]


def test_who_breaks_down_keeps_the_rankings_that_are_done() -> None:
    class Breaks(Scripted):
        def complete(self, questions: Sequence[TextQuestion]) -> list[str | Exception]:
            if len(self.rounds) == 1:
                raise ConnectionError("the line is dead")
            return super().complete(questions)

    with Ranker(scorer=Breaks(honest)) as ranker:
        batch = [("q", TEXTS[:n]) for n in (6, 2, 5)]
        found = ranker.rank_batch(batch, progress=False, on_error="return")
    assert [type(result) for result in found] == [ConnectionError, Ranking, ConnectionError]
    assert found[1].order == [0, 1]


def test_an_error_of_any_class_names_its_query_and_loses_nothing() -> None:
    """Some classes of errors cannot be made again from a message."""

    def answer(question: TextQuestion) -> str | Exception:
        if "tin" not in question.texts:
            return honest(question)
        return json.JSONDecodeError("Expecting value", "oops", 0)

    with Ranker(scorer=Scripted(answer)) as ranker:
        found = ranker.rank_batch([("q", TEXTS[:5]), ("q", TEXTS)], progress=False, on_error="return")
    assert found[0].order == [0, 1, 2, 3, 4]
    assert isinstance(found[1], json.JSONDecodeError)
    assert any("queries[1]" in note for note in found[1].__notes__)


def test_a_scorer_that_loses_answers_is_told() -> None:
    class Forgetful(Scripted):
        def complete(self, questions: Sequence[TextQuestion]) -> list[str | Exception]:
            return super().complete(questions)[:-1]

    with (
        Ranker(scorer=Forgetful(honest)) as ranker,
        pytest.raises(ValueError, match="1 answers came back for 2 questions"),
    ):
        ranker.rank_batch([("q", TEXTS), ("q", TEXTS[:5])], progress=False)


def test_a_ranker_with_a_scorer_has_no_model_and_can_be_closed() -> None:
    ranker = Ranker(scorer=Scripted(honest))
    with pytest.raises(AttributeError, match="given a scorer"):
        _ = ranker.model
    ranker.close()
    with pytest.raises(RuntimeError, match="closed"):
        ranker.rank("q", TEXTS)


@pytest.mark.parametrize("method", ["pointwise", "query_likelihood"])
def test_questions_about_one_candidate_alone_have_no_answer_in_words(method: str) -> None:
    with (
        Ranker(scorer=Scripted(honest)) as ranker,
        pytest.raises(ValueError, match=f"{method} asks about each candidate alone"),
    ):
        ranker.rank("worth most?", TEXTS, method=method)
