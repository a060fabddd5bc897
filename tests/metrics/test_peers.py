"""Equality with pytrec_eval and ir-measures on random ragged runs full of ties."""

import ir_measures
import numba
import pytest
import pytrec_eval
from ir_measures.providers.gdeval_provider import GdevalProvider

from rranker.metrics import evaluate
from tests.support import metrics_reference as reference
from tests.support.random_runs import random_run

MEASURES = [
    "map",
    "recip_rank",
    "bpref",
    "ndcg",
    "P_5",
    "recall_10",
    "ndcg_cut_10",
    "map_cut_10",
    "success_5",
]
MEASURES += ["num_ret", "num_rel_ret"]

# Some of the random runs miss every judged document of a query, of which `evaluate` warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*share no document")


@pytest.mark.parametrize("level", [1, 2])
def test_pytrec_eval(level):
    """200 runs, every query, every measure, exactly the same doubles."""
    for seed in range(200):
        # pytrec_eval takes no negative levels
        qrels, run = random_run(seed, levels=(0, 0, 1, 2, 3))
        theirs = pytrec_eval.RelevanceEvaluator(
            qrels,
            {
                "map",
                "recip_rank",
                "bpref",
                "ndcg",
                "P.5",
                "recall.10",
                "ndcg_cut.10",
                "map_cut.10",
                "success.5",
            }
            | {"num_ret", "num_rel_ret"},
            relevance_level=level,
        ).evaluate(run)
        ours = evaluate(qrels, run, MEASURES, relevance_level=level)
        for name in MEASURES:
            assert ours.per_query(name) == {q: theirs[q][name] for q in qrels}, (seed, name)


def test_ir_measures():
    names = [
        "nDCG@5",
        "AP",
        "AP(rel=2)",
        "RR(rel=2)",
        "P(rel=2)@3",
        "R(rel=2)@7",
        "Success(rel=3)@4",
        "Bpref",
    ]
    measures = [ir_measures.parse_measure(name) for name in names]
    for seed in range(200):
        qrels, run = random_run(seed, levels=(0, 0, 1, 2, 3))
        ours = evaluate(qrels, run, names)
        for value in ir_measures.iter_calc(measures, qrels, run):
            name = names[measures.index(value.measure)]
            assert ours.per_query(name)[value.query_id] == pytest.approx(value.value, abs=1e-12), (seed, name)


def test_gdeval():
    """ERR and exponential nDCG of TREC's own script, which prints 5 decimals."""
    provider = GdevalProvider()
    try:
        provider.initialize()
    except RuntimeError as error:
        pytest.skip(f"gdeval needs perl: {error}")
    wanted = [ir_measures.ERR @ 7, ir_measures.nDCG(dcg="exp-log2") @ 7]
    for seed in range(8):
        qrels, run = random_run(seed, levels=(0, 1, 2, 3, 4))
        # it wants numbers for topics; keep scores apart in every precision
        qrels = {q[1:]: docs for q, docs in qrels.items()}
        run = {q[1:]: {d: round(s, 3) for d, s in docs.items()} for q, docs in run.items()}
        ours = evaluate(qrels, run, ["ERR@7", "nDCG(gains=exp)@7"])
        for value in provider.iter_calc(wanted, qrels, run):
            name = "ERR@7" if "ERR" in str(value.measure) else "nDCG(gains=exp)@7"
            assert ours.per_query(name)[value.query_id] == pytest.approx(value.value, abs=6e-6), (seed, name)


def test_plain_references():
    """Measures that pytrec_eval lacks, negative levels included."""
    names = ["nDCG@6", "nDCG(gains=exp)@6", "ERR@9", "RBP(p=0.7)", "RR@3"]
    for seed in range(200):
        qrels, run = random_run(seed)
        ours = evaluate(qrels, run, names, precision="double")
        for query, docs in run.items():
            expected = [
                reference.ndcg(qrels[query], docs, 6),
                reference.ndcg(qrels[query], docs, 6, lambda x: 2.0**x - 1),
                reference.err(qrels[query], docs, 9),
                reference.rbp(qrels[query], docs, 0.7),
                reference.reciprocal_rank(qrels[query], docs, 3),
            ]
            assert [ours.per_query(n)[query] for n in names] == pytest.approx(expected, abs=1e-12), (
                seed,
                query,
            )


@pytest.mark.parametrize("top", [1, 3])
def test_rank_biased_precision_equals_ranx_up_to_the_highest_level(top, monkeypatch):
    """ranx weighs relevant documents by their bare level: on binary judgements it is ours, whatever the case."""
    monkeypatch.setattr(
        numba.config, "DISABLE_JIT", True
    )  # compiling takes most of a minute, for a second of work
    import ranx

    measure = "RBP.95" if top == 1 else f"RBP(p=0.95,max_level={top})"
    for seed in range(5):
        qrels, run = random_run(seed, levels=range(top + 1))
        run = {
            q: {doc: float(i) for i, doc in enumerate(docs)} for q, docs in run.items()
        }  # ranx has no rule for ties
        theirs = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), "rbp.95", return_mean=False)
        ours = evaluate(qrels, run, measure).per_query(measure)
        by_query = dict(zip(ranx.Qrels(qrels).keys(), theirs, strict=True))
        assert {q: top * value for q, value in ours.items()} == pytest.approx(by_query, abs=1e-9)
