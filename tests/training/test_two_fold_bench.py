"""Two-fold figures of TREC DL: the lists that one year trains on, and the table over both years."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import two_fold
from bench.quality import table, told
from bench.two_fold import LISTS, PASSAGES, lists_of, together, write_lists
from rranker.data import Topic, read_examples
from rranker.data.passage import Hit
from rranker.training.sft.options import configured, parse


def topic(qid: str, grades: list[int]) -> Topic:
    hits = tuple(Hit(str(i), f"passage {i} of {qid}", grade) for i, grade in enumerate(grades))
    return Topic(qid, f"question {qid}", hits)


def test_a_topic_makes_lists_of_judged_passages_with_grades_as_gains() -> None:
    judged = topic("7", [3, 2, 1, *[0] * 20])
    lists = list(lists_of(judged, 20))
    assert lists == list(lists_of(judged, 20))
    assert 0 < len(lists) <= LISTS
    worth = {hit.text: 2.0 ** (hit.grade or 0) - 1 for hit in judged.hits}
    for example in lists:
        assert len(set(example.candidates)) == PASSAGES
        assert example.relevance == [worth[text] for text in example.candidates]
        assert len(set(example.relevance)) > 1
    assert not list(lists_of(topic("8", [0] * 30), 20))  # nothing to learn of


def test_they_are_rows_that_the_trainer_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_fold, "judged", lambda year: [topic(str(year), [3, 0, 0]), topic("9", [0, 1])])
    path = write_lists(20, tmp_path / "20.jsonl")
    assert {example.query for example in read_examples(path)} == {"question 20", "question 9"}
    words = ["--out", str(tmp_path), "--start", "base", "--data", str(path), "--teacher", "MINILM"]
    config = configured(parse([*words, *two_fold.OPTIONS, "--precision", "fp32"]))
    assert (set(config.weights), config.steps) == ({"own", "questions", "squad"}, 150)  # no topic beside


def test_the_years_are_pooled_by_topic_and_compared_with_the_better_plain_row() -> None:
    def year(first: int, gain: float) -> dict[str, dict[str, object]]:
        plain = {str(first + i): 0.1 * i for i in range(5)}
        better = {qid: value + gain for qid, value in plain.items()}
        rows = {"BM25": plain, "MiniLM cosine": better, "untrained": plain, "two-fold": better}
        return {name: told("ndcg", values) for name, values in rows.items()}

    rows = together({20: year(0, 0.2), 21: year(100, 0.1)})
    assert rows["two-fold"]["ndcg"] == pytest.approx(np.mean([0.4, 0.3]))
    assert rows["two-fold"]["against"] == "MiniLM cosine"
    assert rows["two-fold"]["gain"] == pytest.approx(0)
    assert rows["untrained"]["gain"] == pytest.approx(-0.15)
    assert len(rows["BM25"]["ndcg_by_query"]) == 10
    assert "| two-fold |" in table("both years", rows)
