"""PyTerrier: its own test case, frames of all kinds, pipelines."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("pyterrier", reason="needs PyTerrier: pip install 'rranker[pyterrier]'")

import pandas as pd
import pyterrier as pt
from pyterrier import testing  # not its test case by name: pytest would run that

from rranker import Ranker, Ranking
from rranker.integrations.pyterrier import RRankerTransformer
from tests.support.samples import QUERY, TEXTS

pytestmark = pytest.mark.filterwarnings("ignore:.*TransfomerTestCase")
COLUMNS = ["qid", "query", "docno", "score", "rank", "text"]
ROWS = [
    *(("q2", QUERY, f"d{i}", 9.0 - i, i, text) for i, text in enumerate(TEXTS)),
    ("q1", "stock market", "d1", 1.0, 0, TEXTS[1]),
    ("q1", "stock market", "d0", 0.5, 1, TEXTS[0]),
]


class TestContract(testing.TransformerTestCase):
    """What PyTerrier asks of every transformer."""

    @staticmethod
    def get_transformer() -> RRankerTransformer:
        return RRankerTransformer(Ranker())


def test_each_query_is_ranked_and_other_columns_stay(ranker: Any, expected: Ranking) -> None:
    frame = pd.DataFrame(ROWS, columns=COLUMNS, index=range(7, 14)).assign(url="somewhere")
    before = frame.copy()
    ranked = RRankerTransformer(ranker)(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert list(ranked.columns) == [*COLUMNS, "url"]
    second = ranked[ranked.qid == "q2"]
    assert second.docno.tolist() == [f"d{i}" for i in expected.order]
    assert second["rank"].tolist() == list(range(5))
    assert all(above > below for above, below in pairwise(second.score))
    assert second.score.tolist() == pytest.approx([item.relevance for item in expected], abs=1e-6)
    assert ranked[ranked.qid == "q1"].docno.tolist() == ["d1", "d0"]
    assert ranked.qid.tolist() == ["q2"] * 5 + ["q1"] * 2
    assert ranked["rank"].tolist() == pt.model.add_ranks(ranked.copy())["rank"].tolist()


def test_without_rows_the_columns_come_back_and_without_columns_they_are_named(ranker: Any) -> None:
    for columns in (COLUMNS, ["qid", "query", "docno", "text"]):
        empty = RRankerTransformer(ranker)(pd.DataFrame(columns=columns))
        assert len(empty) == 0
        assert set(empty.columns) == set(COLUMNS)
        assert (empty.score.dtype, empty["rank"].dtype) == ("float64", "int64")
    with pytest.raises(pt.validate.InputValidationError, match="'qid', 'docno', 'query', 'body'"):
        RRankerTransformer(ranker, text_field="body")(pd.DataFrame())


def test_it_goes_into_pipelines_with_a_cutoff(ranker: Any, expected: Ranking) -> None:
    found = pd.DataFrame(ROWS[:5], columns=COLUMNS)
    pipeline = pt.Transformer.from_df(found) >> RRankerTransformer(ranker) % 2
    ranked = pipeline(pd.DataFrame([["q2", QUERY]], columns=["qid", "query"]))
    assert ranked.docno.tolist() == [f"d{i}" for i in expected.order[:2]]
    kept = RRankerTransformer(ranker, threshold=expected[0].relevance)(found)
    assert kept.docno.tolist() == [f"d{expected[0].index}"]


def test_rows_of_a_query_whose_id_is_missing_are_not_lost(ranker: Any) -> None:
    frame = pd.DataFrame([(None, *row[1:]) if row[0] == "q1" else row for row in ROWS], columns=COLUMNS)
    ranked = RRankerTransformer(ranker)(frame)
    assert ranked["rank"].tolist() == [*range(5), 0, 1]
    assert ranked.qid.isna().tolist() == [False] * 5 + [True] * 2
