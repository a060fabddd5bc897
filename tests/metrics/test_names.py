"""Measures under the names of trec_eval, ir_measures and ranx; unknown ones suggest the nearest."""

import json
import math

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from rranker.metrics import AP, ERR, RBP, P, evaluate, nDCG, parse_measure, parse_measures
from tests.support.random_runs import random_run

pytestmark = pytest.mark.filterwarnings("ignore:.*share no document")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        # trec_eval, as it prints them and as its -m and pytrec_eval take them
        ("ndcg", "nDCG"),
        ("ndcg_cut_10", "nDCG@10"),
        ("ndcg_cut.10", "nDCG@10"),
        ("ndcg.1=3,2=9", "nDCG(gains=((1, 3.0), (2, 9.0)))"),
        ("P_5", "P@5"),
        ("P.5", "P@5"),
        ("recall_100", "R@100"),
        ("recall.100", "R@100"),
        ("set_recall", "R"),
        ("map", "AP"),
        ("map_cut.1000", "AP@1000"),
        ("recip_rank", "RR"),
        ("success.1", "Success@1"),
        ("rbp.p=0.7", "RBP(p=0.7)"),
        ("num_rel_ret", "NumRelRet"),
        # ir_measures
        ("nDCG@10", "nDCG@10"),
        ("AP(rel=2)", "AP(rel=2)"),
        ("RR@10", "RR@10"),
        ("RR(rel=2)@3", "RR(rel=2)@3"),
        ("nDCG(dcg='exp-log2')@10", "nDCG(gains=exp)@10"),
        ("nDCG(cutoff=10)", "nDCG@10"),
        ("SetR", "R"),
        ("BPref", "Bpref"),
        ("NumRet(rel=1)", "NumRelRet(rel=1)"),
        # ranx
        ("ndcg@10", "nDCG@10"),
        ("ndcg_burges@10", "nDCG(gains=exp)@10"),
        ("mrr@10", "RR@10"),
        ("hit_rate@5", "Hit@5"),
        ("map@100", "AP@100"),
        ("map@100-l2", "AP(rel=2)@100"),
        ("rbp.95", "RBP(p=0.95)"),
        ("RBP.95", "RBP(p=0.95)"),
        ("precision@5", "P@5"),
        # of our own, and as people write them
        ("nDCG(gains=exp)@10", "nDCG(gains=exp)@10"),
        ("ERR(max_level=3)@20", "ERR(max_level=3)@20"),
        ("MRR", "RR"),
        ("MAP", "AP"),
        ("hit@5", "Hit@5"),
        (" NDCG@10 ", "nDCG@10"),
    ],
)
def test_names(name, shown):
    assert str(parse_measure(name)) == shown


@pytest.mark.parametrize(
    "name", ["nDCG@10", "AP(rel=2)@100", "RBP(p=0.95)", "nDCG(gains=exp)", "NumRelRet(rel=1)"]
)
def test_shown_names_are_read_back(name):
    assert str(parse_measure(name)) == name


def test_a_name_may_list_cutoffs():
    assert parse_measures("ndcg_cut.1,3,5") == {f"ndcg_cut_{k}": nDCG(k) for k in (1, 3, 5)}
    assert parse_measures("P_5,10") == {"P_5": P(5), "P_10": P(10)}
    assert parse_measures("AP(rel=2)@1,2") == {"AP(rel=2)@1": AP(1, 2), "AP(rel=2)@2": AP(2, 2)}
    assert [m.k for m in parse_measures("map_cut").values()] == [5, 10, 15, 20, 30, 100, 200, 500, 1000]
    with pytest.raises(ValueError, match="stands for 2 measures: ndcg_cut_1, ndcg_cut_3; name one"):
        parse_measure("ndcg_cut.1,3")


def test_lists_of_cutoffs_equal_pytrec_eval():
    names = ["ndcg_cut.1,3,5", "P.5,10", "recall.100", "map_cut", "success.1,5", "recip_rank", "map"]
    for seed in range(20):
        qrels, run = random_run(seed, levels=(0, 0, 1, 2, 3))
        theirs = pytrec_eval.RelevanceEvaluator(qrels, set(names)).evaluate(run)
        ours = evaluate(qrels, run, names)
        compared = sorted(theirs["q0"])
        assert len(compared) == 3 + 2 + 1 + 9 + 2 + 2
        for name in compared:  # each under pytrec_eval's name for it
            assert ours.per_query(name) == {q: values[name] for q, values in theirs.items()}, (seed, name)


def test_ir_measures_names_mean_the_same():
    names = ["nDCG(dcg='exp-log2')@7", "SetR", "NumRet(rel=2)", "RR(rel=2)", "NumRet"]
    for seed in range(20):
        qrels, run = random_run(seed, levels=(0, 0, 1, 2, 3))
        ours = evaluate(qrels, run, names)
        for name in names[1:]:
            for value in ir_measures.iter_calc([ir_measures.parse_measure(name)], qrels, run):
                assert ours.per_query(name)[value.query_id] == pytest.approx(value.value, abs=1e-12), name
    assert str(ir_measures.parse_measure(names[0])) == "nDCG(dcg='exp-log2')@7"


def test_a_figure_is_found_under_any_name():
    result = evaluate({"q": {"a": 1}}, {"q": {"a": 1.0, "b": 2.0}}, ["ndcg_cut.10", "mrr", AP(rel=1)])
    assert list(result) == ["ndcg_cut.10", "mrr", "AP(rel=1)"]
    assert (
        result["nDCG@10"]
        == result["ndcg_cut_10"]
        == result["ndcg_cut.10"]
        == pytest.approx(0.63093, abs=1e-5)
    )
    assert result["recip_rank"] == 0.5
    assert result.per_query("RR") == {"q": 0.5}
    for wrong in ("nDCG@5", "nDCG", "nonsense", 7):
        with pytest.raises(KeyError, match=r"was not evaluated; there are ndcg_cut.10, mrr, AP\(rel=1\)"):
            result[wrong]
    with pytest.raises(KeyError, match="was not evaluated"):
        result.per_query("P@5")


def test_figures_go_into_json():
    result = evaluate({"q": {"a": 1}}, {"q": {"a": 1.0}}, ["nDCG@10", "NumRel"])
    assert json.loads(json.dumps(result)) == {"nDCG@10": 1.0, "NumRel": 1.0} == result


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", r"no measure is called 'ndgc@10'; did you mean 'nDCG@10'\?"),
        ("recal.100", r"did you mean 'recall.100'\?"),
        ("map_cutt_5", r"did you mean 'map_cut_5'\?"),
        ("recip_rnak", r"did you mean 'recip_rank'\?"),
        ("zzz", "no measure is called 'zzz'; Known are nDCG, RR"),
        ("nDCG@ten", "cannot read '@ten' of the measure 'nDCG@ten'"),
        ("nDCG@10@5", "cannot read '@10@5'"),
        ("P", "cannot read the measure 'P': P needs a cutoff"),
        ("nDCG@0", "cutoff must be at least 1"),
        ("RBP(p=2)", "RBP's persistence p must be a number above 0 and below 1, not 2.0"),
        ("RBP(p=nan)", "must be a number above 0 and below 1, not nan"),
        ("RBP", r"RBP needs its persistence p, such as RBP\(p=0.8\)"),
        ("rbp", "trec_eval's default is 0.9, ir_measures' 0.8"),
        ("RBP@10", "RBP needs its persistence p"),
        ("AP(rel=0)", "AP's rel must be at least 1, not 0"),
        ("nDCG(gains=odd)", 'gains is "linear"'),
        ("nDCG(1=nan)", "nDCG's gain of level 1 must be a finite number, not nan"),
        ("nDCG(rel=2)@10", "nDCG takes no rel"),
        ("ERR@10-l2", "ERR takes no rel"),
        ("Bpref@5", "takes no cutoff"),
        ("AP(x=1)", "AP has no parameter 'x'; it has k, rel"),
        ("AP(2)", "'2' is no parameter; write name=value"),
        ("", "no measure is called ''"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(ValueError, match=message):
        parse_measure(name)


def test_numpy_numbers_are_numbers():
    assert nDCG(np.int64(10)) == nDCG(10)
    assert str(AP(np.int32(5), np.int8(2))) == "AP(rel=2)@5"
    qrels, run = {"q": {"a": 2, "b": 1}}, {"q": {"a": 1.0, "b": 2.0}}
    assert evaluate(qrels, run, "RR", relevance_level=np.int64(2), max_docs=np.int64(2))["RR"] == 0.5
    for wrong in (2.0, True, "2"):
        with pytest.raises(TypeError, match="must be a whole number"):
            nDCG(wrong)
        with pytest.raises(TypeError, match="max_docs must be a whole number"):
            evaluate(qrels, run, "RR", max_docs=wrong)
    with pytest.raises(ValueError, match="takes no rel"):
        ERR(rel=2)


def test_gains_of_levels_that_no_document_has_cost_nothing():
    qrels, run = {"q": {"a": 1, "b": 3}}, {"q": {"a": 2.0, "b": 1.0}}
    usual = nDCG(gains={1: 2.0})
    found = evaluate(qrels, run, [nDCG(gains={1: 2.0, 10**10: 1.0}), usual])
    assert next(iter(found.values())) == found[str(usual)] != evaluate(qrels, run, "nDCG")["nDCG"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RBP(p=0.5, max_level=-3), ValueError, "RBP's max_level must be at least 0, not -3"),
        (lambda: RBP(p=0.5, max_level=2.5), TypeError, "RBP's max_level must be a whole number, not 2.5"),
        (lambda: ERR(max_level="4"), TypeError, "ERR's max_level must be a whole number, not '4'"),
        (lambda: nDCG(gains=[1, 2]), ValueError, 'gains is "linear"'),
        (lambda: nDCG(gains={1.5: 1}), TypeError, "a level of nDCG's gains must be a whole number, not 1.5"),
        (lambda: RBP(p="0.5"), TypeError, "RBP's persistence p must be a number .*, not '0.5'"),
        (lambda: nDCG(gains={1: "3"}), TypeError, "nDCG's gain of level 1 must be a finite number, not '3'"),
        (
            lambda: nDCG(gains={1: math.inf}),
            ValueError,
            "nDCG's gain of level 1 must be a finite number, not inf",
        ),
        (lambda: nDCG(gains={-1: 1}), ValueError, "a level of nDCG's gains must be at least 0, not -1"),
    ],
)
def test_wrong_settings_of_a_measure_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
