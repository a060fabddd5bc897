"""trec_eval's own test files, to the 4 decimals it prints."""

import os
from pathlib import Path

import pytest

from rranker.metrics import evaluate

FOLDER = Path(os.environ.get("RRANKER_DATA", "../shared/data")) / "trec_eval" / "test"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason=f"trec_eval's test files are not in {FOLDER}; set RRANKER_DATA"
    ),
]
CUTOFFS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
MEASURES = [
    *("num_q", "num_ret", "num_rel", "num_rel_ret", "map", "bpref", "recip_rank", "ndcg", "set_recall"),
    *(f"{name}_{k}" for name in ("P", "recall", "ndcg_cut", "map_cut") for k in CUTOFFS),
    *("success_1", "success_5", "success_10"),
]


def compare(evaluation, expected, measures, least):
    """Every printed line of one of our measures; `least` guards against comparing nothing."""
    compared = 0
    for line in (FOLDER / expected).read_text().splitlines():
        name, query, value = line.split(None, 2)
        if name not in measures:
            continue
        ours = evaluation[name] if query == "all" else evaluation.per_query(name)[query]
        assert float(f"{ours:.4f}") == float(value), f"{expected}: {line}"
        compared += 1
    assert compared >= least


@pytest.mark.parametrize(
    ("expected", "qrels", "run", "options", "least"),
    [
        ("out.test", "qrels.test", "results.test", {}, 16),
        ("out.test", "qrels.test.with-comments", "results.test", {}, 16),
        ("out.test.a", "qrels.test", "results.test", {}, 48),
        ("out.test.aq", "qrels.test", "results.test", {}, 4 * 47),
        ("out.test.aqc", "qrels.test", "results.trunc", {"complete": True}, 4 * 47),
        ("out.test.aqcM", "qrels.test", "results.trunc", {"complete": True, "max_docs": 100}, 4 * 47),
        ("out.test.aql", "qrels.rel_level", "results.test", {"relevance_level": 2}, 4 * 47),
    ],
)
def test_output(expected, qrels, run, options, least):
    evaluation = evaluate(FOLDER / qrels, FOLDER / run, MEASURES, **options)
    compare(evaluation, expected, MEASURES, least)


def test_cutoffs_of_its_own():
    measures = ["P_3", "P_5", "P_7", "recall_20", "recall_2000", "ndcg_cut_10", "ndcg_cut_20", "ndcg_cut_23"]
    measures += ["success_2", "success_5", "success_20"]
    evaluation = evaluate(FOLDER / "qrels.test", FOLDER / "results.test", measures)
    compare(evaluation, "out.test.meas_params", measures, 44)


def test_custom_gains():
    evaluation = evaluate(FOLDER / "qrels.test", FOLDER / "results.test", "nDCG(1=3,2=9,4=4.5)")
    printed = {
        line.split()[1]: float(line.split()[2])
        for line in (FOLDER / "out.test.meas_params").read_text().splitlines()
        if line.startswith("ndcg_1=3")
    }
    assert len(printed) == 4
    assert round(evaluation["nDCG(1=3,2=9,4=4.5)"], 4) == printed.pop("all")
    ours = evaluation.per_query("nDCG(1=3,2=9,4=4.5)")
    assert {query: round(value, 4) for query, value in ours.items()} == printed


def test_rank_biased_precision():
    """On binary judgements; on graded ones trec_eval 10 scales by variables it never sets."""
    evaluation = evaluate(FOLDER / "qrels.test", FOLDER / "results.test", "RBP(p=0.9)")
    printed = [line.split() for line in (FOLDER / "out.test.aq").read_text().splitlines()]
    figures = {query: float(value) for name, query, value in printed if name == "rbp"}
    assert len(figures) >= 4
    assert round(evaluation["RBP(p=0.9)"], 4) == figures.pop("all")
    assert {q: round(v, 4) for q, v in evaluation.per_query("RBP(p=0.9)").items()} == figures


def test_z_scores():
    """`-Z` prints (value - mean) / deviation over other runs: our values, magnified by small deviations."""
    evaluation = evaluate(FOLDER / "qrels.test", FOLDER / "results.test", MEASURES)
    printed = {
        (line.split()[1], line.split()[0]): line.split()[2]
        for line in (FOLDER / "out.test.aqZ").read_text().splitlines()
    }
    compared = 0
    for line in (FOLDER / "zscores_file").read_text().splitlines():
        query, name, mean, deviation = line.split()
        if name not in MEASURES or float(deviation) == 0 or query not in evaluation.queries:
            continue
        ours = (evaluation.per_query(name)[query] - float(mean)) / float(deviation)
        assert ours == pytest.approx(float(printed[query, f"Z{name}"]), abs=6e-5)
        compared += 1
    assert compared >= 3 * 40


def test_judgements_with_hashes_in_their_ids():
    """`qrels.comment.test` has a # inside document ids; its run is not in the folder, its counts are."""
    evaluation = evaluate(FOLDER / "qrels.comment.test", {}, ["num_q", "num_rel"], complete=True)
    compare(evaluation, "out.comment.test", ["num_q", "num_rel"], 2)


def test_without_c_a_missing_query_is_left_out():
    short = evaluate(FOLDER / "qrels.test", FOLDER / "results.trunc", "map")
    assert short.queries == ("301", "303")
    assert short.not_retrieved == ("302",)
    whole = evaluate(FOLDER / "qrels.test", FOLDER / "results.trunc", "map", complete=True)
    assert whole["map"] == pytest.approx(short["map"] * 2 / 3)
