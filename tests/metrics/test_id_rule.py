"""Ids and numbers at the doors of evaluation: dicts, frames, arrays, rankings, writers."""

import warnings
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from rranker import RankedCandidate, Ranking
from rranker.metrics import Columns, evaluate, read_run, write_qrels, write_run

SOME, OTHER = UUID(int=7), UUID(int=8)
EXPECTED = evaluate({"1": {"7": 2, "8": 0}}, {"1": {"7": 0.1, "8": 0.9}}, ["nDCG", "RR"])


def ranking(*ids, scores=None, query_id=None):
    scores = scores or [1 - place / 10 for place in range(len(ids))]
    items = [
        RankedCandidate(rank, index, name, f"text {index}", score)
        for rank, (index, name, score) in enumerate(zip(range(len(ids)), ids, scores, strict=True), 1)
    ]
    return Ranking(tuple(items), query_id=query_id)


@pytest.fixture(autouse=True)
def _no_warning():
    """Warnings are part of the rule: a test that sees one asks for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    "query", [1, np.int64(1), np.uint8(1), "1", np.str_("1")], ids=lambda q: f"query {type(q).__name__}"
)
@pytest.mark.parametrize("kind", [int, np.int64, np.uint16, str, np.str_])
def test_integers_and_strings_are_one_id(query, kind):
    qrels, run = {query: {kind(7): 2, kind(8): 0}}, {"1": {7: 0.1, "8": 0.9}}
    result = evaluate(qrels, run, ["nDCG", "RR"])
    assert result == EXPECTED
    assert result.queries == ("1",)


def test_uuids_are_ids_and_compare_by_text():
    qrels = {SOME: {SOME: 0, OTHER: 1}}
    assert evaluate(qrels, {str(SOME): {str(OTHER): 1.0, str(SOME): 0.5}}, "RR")["RR"] == 1.0
    assert evaluate(qrels, {SOME: {OTHER: 0.5, SOME: 0.5}}, "RR")["RR"] == 1.0  # ties: the later text first


def test_whole_floats_are_unified_with_one_warning():
    with pytest.warns(UserWarning, match="whole floats") as caught:
        assert evaluate({1.0: {7.0: 2, 8.0: 0}}, {"1": {"7": 0.1, "8": 0.9}}, ["nDCG", "RR"]) == EXPECTED
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="whole floats") as caught:
        assert (
            evaluate({"1": {7: 2, 8: 0}}, {"1": {7.0: 0.1, np.float32(8): 0.9}}, ["nDCG", "RR"]) == EXPECTED
        )
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("qrels", "error", "message"),
    [
        ({"1": {True: 1}}, TypeError, r"the document id True in qrels\['1'\] must be a string, .* not bool"),
        (
            {"1": {"7": 1, 7.5: 1}},
            ValueError,
            r"the document id 7.5 in qrels\['1'\] is 7.5, which is not whole",
        ),
        ({"1": {float("nan"): 1}}, ValueError, r"the document id nan in qrels\['1'\] is missing"),
        ({"1": {"7": 1}, None: {"7": 1}}, TypeError, "the query id None of the qrels must be a string"),
        ({"1": {b"7": 1}}, TypeError, r"not bytes: pass value.decode\(\)"),
        ({"1": {7: 1, "7": 0}}, ValueError, r"document '7' stands twice in qrels\['1'\]"),
        ({1: {"7": 1}, "1": {"8": 0}}, ValueError, "two query ids of the qrels are '1' as text"),
        ({"1": ["7", "8"]}, TypeError, r"qrels\['1'\] must be a dict of documents, not list"),
        ({"1": ranking("7")}, TypeError, r"qrels\['1'\] must be a dict of documents, not Ranking"),
    ],
)
def test_what_is_no_id_is_named(qrels, error, message):
    with pytest.raises(error, match=message):
        evaluate(qrels, {"1": {"7": 1.0}})


@pytest.mark.parametrize("grade", [1.0, np.float64(1), np.float32(1), np.int8(1), np.uint64(1), True])
def test_whole_grades_of_any_type(grade):
    assert evaluate({"q": {"a": grade, "b": 0.0}}, {"q": {"a": 1, "b": np.float32(2)}}, "RR")["RR"] == 0.5
    side = np.array([[grade, 0]]), np.array([[1.0, 2.0]])
    assert evaluate(*side, "RR")["RR"] == 0.5


@pytest.mark.parametrize(
    ("grade", "error", "message"),
    [
        (1.5, TypeError, "must be an integer, not 1.5; round or bin"),
        (float("nan"), TypeError, "must be an integer, not nan"),
        (float("inf"), ValueError, "is too large"),
        (2**31, ValueError, "is too large"),
        (-(2**70), ValueError, "is too large"),
        (1e300, ValueError, "is too large"),
        ("1", TypeError, "must be an integer, not str"),
        (None, TypeError, "must be an integer, not NoneType"),
    ],
)
def test_other_grades_are_named(grade, error, message):
    with pytest.raises(error, match=rf"qrels\['q'\]\['a'\] {message}"):
        evaluate({"q": {"a": grade}}, {"q": {"a": 1.0}})


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint8", "str", "object", "category"])
def test_frames_with_id_columns(dtype):
    qrels = pd.DataFrame({"query_id": [1, 1], "doc_id": [7, 8], "relevance": [2.0, 0.0]})
    run = pd.DataFrame({"qid": ["1", "1"], "docno": ["7", "8"], "score": [0.1, 0.9]})
    ids = qrels[["query_id", "doc_id"]].astype(str if dtype == "str" else dtype)
    assert (
        evaluate(qrels.assign(query_id=ids["query_id"], doc_id=ids["doc_id"]), run, ["nDCG", "RR"])
        == EXPECTED
    )


def test_frames_after_a_merge_hold_floats():
    left = pd.DataFrame({"qid": [1, 1, 2], "docid": [7, 8, 7]})
    merged = left.merge(pd.DataFrame({"qid": [1, 1, 3], "docid": [7, 8, 9], "rel": [2, 0, 1]}), how="outer")
    floats = merged.dropna().astype({"qid": "float64", "docid": "float64"})
    with pytest.warns(UserWarning, match="whole floats") as caught:
        result = evaluate(floats, {"1": {"7": 0.1, "8": 0.9}}, ["nDCG", "RR"])
    assert result == EXPECTED
    assert len(caught) == 1
    with pytest.raises(ValueError, match="column 'rel' of the qrels DataFrame has a missing value in row 2"):
        evaluate(merged, {"1": {"7": 0.1}})


def test_frames_with_one_id_in_two_types_and_other_names():
    mixed = pd.DataFrame(
        {"query-id": [1, "1", 2], "corpus-id": ["7", 8, "9"], "score": [2, 0, 1]}, dtype=object
    )
    ranks = pd.DataFrame({"qid": [1, 1], "pid": [8, 7], "rank": [1, 2]})
    result = evaluate(mixed, ranks, ["nDCG", "RR"])
    assert result == EXPECTED
    assert result.not_retrieved == ("2",)
    with pytest.raises(
        ValueError, match=r"7\.5 in column 'pid' of the run DataFrame is 7\.5, which is not whole"
    ):
        evaluate(mixed, ranks.assign(pid=[8, 7.5]))
    with pytest.raises(TypeError, match="column 'rank' must hold numbers as scores"):
        evaluate(mixed, ranks.assign(rank=["first", "second"]))


def test_arrays_of_ids():
    run = Columns([["7", "8"]], [[0.1, 0.9]], queries=["1"])
    for ids in (np.array([[7, 8]], np.uint64), np.array([[7, "8"]], object), np.array([[b"7", b"8"]])):
        assert evaluate(Columns(ids, [[2, 0]], queries=[1]), run, ["nDCG", "RR"]) == EXPECTED
    with pytest.warns(UserWarning, match="whole floats"):
        floats = Columns([[7.0, 8.0]], [[2.0, 0.0]], queries=[1.0])
    assert evaluate(floats, run, ["nDCG", "RR"]) == EXPECTED
    large = 2**64 - 1  # as 64 signed bits: -1
    one = Columns(np.array([[large]], np.uint64), [[1]]), Columns(np.array([[large]], np.uint64), [[1.0]])
    assert evaluate(*one, "RR")["RR"] == evaluate(one[0], {"0": {str(large): 1.0}}, "RR")["RR"] == 1.0
    with pytest.raises(TypeError, match="the run must hold numbers as scores, not <U3"):
        evaluate(one[0], Columns([[1]], [["0.5"]]))


def test_a_ranking_is_a_run(tmp_path):
    best_last = ranking(8, "7")
    qrels = {1: {7: 2, "8": 0}}
    for run in ({1: best_last}, {"1": best_last}, best_last, [ranking(8, 7, query_id=1)]):
        assert evaluate(qrels, run, ["nDCG", "RR"]) == EXPECTED
    write_run(tmp_path / "one", {1: best_last, SOME: ranking(SOME)})
    assert evaluate(qrels, tmp_path / "one", ["nDCG", "RR"]) == EXPECTED
    assert list(read_run(tmp_path / "one")[str(SOME)]) == [str(SOME)]
    write_run(tmp_path / "two", [ranking(8, 7, query_id=1), ranking(SOME, query_id=SOME)])
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


def test_a_ranking_keeps_its_order_where_single_precision_sees_a_tie(tmp_path):
    """Scores of a ranking may differ by less than trec_eval sees; then ids would decide."""
    close = ranking("a", "b", "c", "d", scores=[0.5 + 2e-10, 0.5 + 1e-10, 0.5, 0.25])
    assert evaluate({"q": {"a": 1}}, {"q": close}, "RR")["RR"] == 1.0
    write_run(tmp_path / "run", {"q": close})
    assert evaluate({"q": {"a": 1}}, tmp_path / "run", "RR")["RR"] == 1.0
    scores = list(read_run(tmp_path / "run")["q"].values())
    assert scores == sorted(set(scores), reverse=True)
    assert scores == pytest.approx([0.5, 0.5, 0.5, 0.25], abs=1e-6)


def test_rankings_that_cannot_be_a_run_say_why(tmp_path):
    two = {"x": {"a": 1}, "y": {"a": 1}}
    with pytest.raises(ValueError, match="one Ranking without a query_id and the qrels hold 2 queries"):
        evaluate(two, ranking("a"))
    with pytest.raises(ValueError, match="ranking 1 of the run has no query_id: give rank_batch an id"):
        evaluate(two, [ranking("a", query_id="x"), ranking("a")])
    with pytest.raises(ValueError, match="two rankings of the run have the query_id 'x'"):
        evaluate(two, [ranking("a", query_id="x"), ranking("b", query_id="x")])
    with pytest.raises(TypeError, match="a list whose item 1 is a ValueError, not a Ranking"):
        evaluate(two, [ranking("a", query_id="x"), ValueError("over-long")])
    with pytest.raises(ValueError, match=r"candidate 1 in run\['x'\] has no id .* rank candidates with ids"):
        evaluate(two, {"x": ranking("a", None)})
    with pytest.raises(ValueError, match="no query_id"):
        write_run(tmp_path / "run", ranking("a"))
    with pytest.raises(
        TypeError, match="must be a dict of dicts or of Rankings, a Ranking, a pandas DataFrame"
    ):
        evaluate(two, [1])


def test_writers_take_what_evaluate_takes(tmp_path):
    frame = pd.DataFrame({"qid": [1, 1], "docno": [7, 8], "score": [0.1, 0.9]})
    write_run(tmp_path / "run", frame)
    write_qrels(tmp_path / "qrels", Columns([[7, 8]], [[2, 0]], queries=[1]))
    assert evaluate(tmp_path / "qrels", tmp_path / "run", ["nDCG", "RR"]) == EXPECTED
    write_run(tmp_path / "ints", {1: {7: np.float32(0.5), SOME: 2}})
    assert read_run(tmp_path / "ints") == {"1": {"7": 0.5, str(SOME): 2.0}}


def test_sides_without_a_shared_document_are_named():
    qrels = {"x": {"7": 1}, "y": {"7": 1}, "z": {"7": 1}, "e": {}}
    run = {"x": {"7.0": 1.0, "8.0": 0.5}, "y": {"7": 1.0}, "z": {}, "e": {"7": 1.0}}
    message = r"for 1 of 4 queries .* share no document.*'x' the qrels have \['7'\], the run \['7.0', '8.0'\]"
    for options in ({}, {"judged_only": True}, {"max_docs": 1}):
        with pytest.warns(UserWarning, match=message):
            result = evaluate(qrels, run, "RR", **options)
        assert result.nothing_shared == ("x",)
        assert "1 without a shared document" in repr(result)


@pytest.mark.parametrize("form", ["files", "int arrays", "text arrays"])
def test_every_form_says_what_is_not_shared(tmp_path, form):
    if form == "files":
        write_qrels(tmp_path / "qrels", {"x": {"1": 1}, "y": {"2": 1}})
        write_run(tmp_path / "run", {"x": {"1": 1.0}, "y": {"3": 1.0}})
        sides = tmp_path / "qrels", tmp_path / "run"
    else:
        kind = int if form == "int arrays" else str
        names = {"queries": ["x", "y"]}
        sides = (
            Columns([[kind(1)], [kind(2)]], [[1], [1]], **names),
            Columns([[kind(1)], [kind(3)]], [[1.0], [1.0]], **names),
        )
    with pytest.warns(UserWarning, match=r"'y' the qrels have \['2'\], the run \['3'\]"):
        assert evaluate(*sides, "RR").nothing_shared == ("y",)
