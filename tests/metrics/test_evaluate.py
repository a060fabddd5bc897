"""Forms of input, ties, missing queries, names, and errors that say what to do."""

import gzip

import numpy as np
import pandas as pd
import pytest

from rranker import metrics
from rranker.metrics import Columns, evaluate
from tests.support.random_runs import random_run

# Some of the random runs miss every judged document of a query, of which `evaluate` warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*share no document")
NAMES = ["nDCG@10", "AP", "RR", "Bpref", "P@5"]


def same(a, b):
    assert set(a.queries) == set(b.queries)
    for name in NAMES:
        assert a.per_query(name) == b.per_query(name)


@pytest.fixture(params=range(6))
def both(request):
    return random_run(request.param)


def test_files_and_frames_equal_dicts(both, tmp_path):
    qrels, run = both
    expected = evaluate(qrels, run, NAMES)
    for ending in ("", ".gz"):
        metrics.write_qrels(tmp_path / f"qrels{ending}", qrels)
        metrics.write_run(tmp_path / f"run{ending}", run)
        same(evaluate(tmp_path / f"qrels{ending}", str(tmp_path / f"run{ending}"), NAMES), expected)
        assert metrics.read_qrels(tmp_path / f"qrels{ending}") == qrels
        assert metrics.read_run(tmp_path / f"run{ending}") == run
    same(evaluate(qrels, tmp_path / "run.gz", NAMES), expected)
    frames = [
        pd.DataFrame([(q, d, v) for q, docs in side.items() for d, v in docs.items()], columns=columns)
        for side, columns in ((qrels, ["query_id", "doc_id", "relevance"]), (run, ["qid", "docno", "score"]))
    ]
    same(evaluate(*(f.sample(frac=1, random_state=0) for f in frames), NAMES), expected)


def test_arrays_equal_dicts_with_ids_as_text():
    rng = np.random.default_rng(5)
    for _ in range(20):
        ids = np.array([rng.choice(300, size=30, replace=False) for _ in range(8)])
        scores = rng.integers(0, 6, size=ids.shape).astype(float)
        judged = np.array([rng.choice(300, size=60, replace=False) for _ in range(8)])
        levels = rng.integers(-1, 4, size=judged.shape)
        dicts = [
            {
                str(q): dict(zip(map(str, r), v, strict=True))
                for q, (r, v) in enumerate(zip(k, s, strict=True))
            }
            for k, s in ((judged.tolist(), levels.tolist()), (ids.tolist(), scores.tolist()))
        ]
        expected = evaluate(*dicts, NAMES)
        same(evaluate(Columns(judged, levels), Columns(ids, scores), NAMES), expected)
        for kind in (str, bytes):
            columns = Columns(judged.astype(kind), levels), Columns(ids.astype(kind), scores)
            same(evaluate(*columns, NAMES), expected)


def test_documents_that_stand_twice(tmp_path):
    (tmp_path / "run.txt").write_text("q Q0 a 1 0.5 t\nq Q0 a 2 0.4 t\n")
    (tmp_path / "one.txt").write_text("q Q0 a 1 0.5 t\n")
    (tmp_path / "good.txt").write_text("q 0 a 1\n")
    with pytest.raises(ValueError, match=r"'a' stands twice in the run .*run\.txt"):
        evaluate(tmp_path / "good.txt", tmp_path / "run.txt")
    for twice in ("a", "unretrieved"):
        (tmp_path / "qrels.txt").write_text(f"q 0 {twice} 1\nq 0 b 1\nq 0 {twice} 0\n")
        with pytest.raises(ValueError, match=f"'{twice}' stands twice in the qrels .*qrels"):
            evaluate(tmp_path / "qrels.txt", tmp_path / "one.txt")
    with pytest.raises(ValueError, match="document '7' stands twice"):
        evaluate(Columns([[1, 2]], [[0, 1]]), Columns([[7, 7]], [[0.1, 0.2]]))
    with pytest.raises(ValueError, match="same name"):
        Columns([[1], [2]], [[0], [1]], queries=["q", "q"])


def test_side_by_side_arrays():
    relevance, scores = np.array([[0, 1, 0], [1, 0, 0]]), np.array([[0.3, 0.2, 0.1], [0.5, 0.5, 0.1]])
    assert evaluate(relevance, scores, "RR").per_query("RR") == {"0": 0.5, "1": 0.5}


def test_ties_fall_to_the_later_id_and_single_precision_decides():
    qrels, run = {"q": {"a": 1, "b": 0}}, {"q": {"a": 1.0 + 1e-12, "b": 1.0}}
    assert evaluate(qrels, run, "RR")["RR"] == 0.5
    assert evaluate(qrels, run, "RR", precision="double")["RR"] == 1.0
    assert evaluate({"q": {"a": 1}}, {"q": {"a": 0.0, "b": -0.0}}, "RR")["RR"] == 0.5


def test_the_rank_column_is_ignored(tmp_path):
    (tmp_path / "run").write_text("q Q0 a 1 0.1 t\nq Q0 b 2 0.9 t\n")
    assert evaluate({"q": {"b": 1}}, tmp_path / "run", "RR")["RR"] == 1.0


def test_missing_queries():
    qrels, run = {"x": {"a": 1}, "y": {"a": 1}}, {"x": {"a": 1.0}, "z": {"a": 1.0}}
    part = evaluate(qrels, run, "RR")
    assert (part.queries, part["RR"]) == (("x",), 1.0)
    assert (part.not_retrieved, part.not_judged) == (("y",), ("z",))
    assert evaluate(qrels, run, "RR", complete=True).per_query("RR") == {"x": 1.0, "y": 0.0}
    with pytest.raises(ValueError, match="no query stands in both"):
        evaluate({"x": {"a": 1}}, {"y": {"a": 1.0}})


def test_judged_only_and_max_docs():
    qrels, run = {"q": {"b": 1, "c": -1}}, {"q": {"a": 3.0, "c": 2.5, "b": 2.0}}
    assert evaluate(qrels, run, "RR")["RR"] == pytest.approx(1 / 3)
    assert evaluate(qrels, run, "RR", judged_only=True)["RR"] == 1.0
    assert evaluate(qrels, run, "RR", max_docs=2)["RR"] == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 a 1 0.5 t\nq Q0 b 2 x t\n", r"run\.txt, line 2: the score must be a number, not 'x'"),
        ("q Q0 a 1 0.5 t\n\nq Q0 b 2\n", r"run\.txt, line 3: a run row has 6 columns"),
        ("# note\nq Q0 a 1 nan t\n", r"run\.txt, line 2: the score must be a number"),
        ("q Q0 a 1 0.5 t\nq Q0 a 2 0.4 t\n", "document 'a' stands twice"),
    ],
)
def test_malformed_runs(tmp_path, text, message):
    (tmp_path / "run.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        metrics.read_run(tmp_path / "run.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q 0 a 1\nq 0 b 1.5\n", r"qrels\.gz, line 2: the relevance must be an integer, not '1.5'"),
        ("q 0 a\n", r"qrels\.gz, line 1: a qrels row has 4 columns .* this one has 3"),
        ("q 0 a 1 extra\n", r"line 1: a qrels row has 4 columns"),
    ],
)
def test_malformed_qrels(tmp_path, text, message):
    (tmp_path / "qrels.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(ValueError, match=message):
        evaluate(tmp_path / "qrels.gz", {"q": {"a": 1.0}})


def test_scores_are_read_exactly(tmp_path):
    rng = np.random.default_rng(0)
    shown = [repr(x) for x in (rng.normal(size=300) * 10.0 ** rng.integers(-30, 30, size=300)).tolist()]
    shown += ["1", "-0.5", "+3", ".5", "7.", "1e3", "inf", "123456789012345", "1234567890123456", "0.000001"]
    (tmp_path / "run").write_text("".join(f"q Q0 d{i} 0 {s} t\n" for i, s in enumerate(shown)))
    assert list(metrics.read_run(tmp_path / "run")["q"].values()) == [float(s) for s in shown]


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(TypeError, match=r"qrels\['q'\]\['a'\] must be an integer, not 1.5"):
        evaluate({"q": {"a": 1.5}}, {"q": {"a": 1.0}})
    with pytest.raises(ValueError, match=r"run\['q'\]\['a'\] is not a number"):
        evaluate({"q": {"a": 1}}, {"q": {"a": float("nan")}})
    with pytest.raises(TypeError, match=r"the document id True in run\['q'\] must be a string"):
        evaluate({"q": {"a": 1}}, {"q": {True: 1.0}})
    with pytest.raises(TypeError, match="must be a dict of dicts"):
        evaluate([1], {"q": {"a": 1.0}})
    with pytest.raises(ValueError, match="needs a column called"):
        evaluate(pd.DataFrame({"query_id": ["q"], "x": ["a"]}), {"q": {"a": 1.0}})
    with pytest.raises(FileNotFoundError, match="cannot read the qrels file"):
        evaluate(tmp_path / "none", {"q": {"a": 1.0}})
    with pytest.raises(ValueError, match="cannot stand in a TREC file"):
        metrics.write_run(tmp_path / "x", {"a b": {"d": 1.0}})


def test_levels_and_ids_of_arrays_are_checked():
    ids, scores = np.array([[1, 2]]), np.array([[0.5, 0.1]])
    for levels, error in (([[1, 2**40]], ValueError), ([[0.5, 1.0]], TypeError), ([["1", "0"]], TypeError)):
        with pytest.raises(error, match="the qrels must hold"):
            evaluate(Columns(ids, levels), Columns(ids, scores))
    with pytest.raises(ValueError, match="the relevance array must hold"):
        evaluate(np.array([[1, 2**40]]), scores)
    with pytest.raises(ValueError, match=r"ids\[0\] is 1.5, which is not whole"):
        Columns([[1.5, 2.0]], [[0, 1]])


def test_a_broken_gzip_file_is_named(tmp_path):
    whole = gzip.compress(b"q 0 a 1\n" * 50)
    for name, data in (("short.gz", whole[:-12]), ("bad.gz", whole[:12] + b"\xff" * 8 + whole[20:])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=rf"{name} is not a whole gzip file"):
            metrics.read_qrels(tmp_path / name)


def test_equal_figures_are_equal_evaluations():
    qrels, run = random_run(3)
    assert evaluate(qrels, run, NAMES) == evaluate(qrels, run, NAMES) == dict(evaluate(qrels, run, NAMES))
    assert evaluate(qrels, run, NAMES) != evaluate(qrels, run, NAMES, max_docs=1)


def test_paired_tests():
    rng = np.random.default_rng(1)
    b = rng.random(80)
    better, alike = b + 0.1 + 0.05 * rng.normal(size=80), b + 0.05 * rng.normal(size=80)
    for test in (metrics.paired_bootstrap, metrics.paired_randomisation):
        clear, none = test(better, b, rounds=4000), test(alike, b, rounds=4000)
        assert clear.p_value < 0.001 < 0.05 < none.p_value
        assert clear.low < clear.difference < clear.high
        assert none.low < 0 < none.high
        assert test(better, b, rounds=500) == test(better, b, rounds=500)
    with pytest.raises(ValueError, match="same queries"):
        metrics.paired_bootstrap({"a": 1.0}, {"b": 1.0})
    with pytest.raises(ValueError, match="finite"):
        metrics.paired_randomisation([1.0, np.nan], [0.0, 0.0])
    with pytest.raises(ValueError, match="confidence must be a number above 0 and below 1"):
        metrics.paired_bootstrap([1.0], [0.0], confidence=95)
    for test in (metrics.paired_bootstrap, metrics.paired_randomisation):
        with pytest.raises(TypeError, match=r"rounds must be a whole number, not 2\.5"):
            test([1.0], [0.0], rounds=2.5)
        with pytest.raises(ValueError, match="seed must be at least 0, not -1"):
            test([1.0], [0.0], seed=-1)


def test_randomisation_equals_full_enumeration():
    """Six queries have 64 sign patterns; the sampled p-value meets the exact one."""
    d = np.array([0.3, -0.1, 0.2, 0.25, 0.05, 0.4])
    signs = np.array([[1 if m >> i & 1 else -1 for i in range(6)] for m in range(64)])
    exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-12)
    got = metrics.paired_randomisation(d, np.zeros(6), rounds=40_000).p_value
    assert got == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("level", [0, -1])
def test_levels_that_make_irrelevant_documents_relevant_are_refused(level):
    """Below 0 unjudged documents would count as found, and AP and recall exceed 1."""
    qrels, run = {"q": {"a": 1, "b": 0}}, {"q": {"x": 3.0, "a": 2.0}}
    with pytest.raises(ValueError, match=f"relevance_level must be at least 1, not {level}"):
        evaluate(qrels, run, "AP", relevance_level=level)
    with pytest.raises(ValueError, match=f"AP's rel must be at least 1, not {level}: level 0 is irrelevant"):
        metrics.AP(rel=level)


@pytest.mark.parametrize("high", [1023, 1024, 2000])
def test_gains_that_do_not_add_up_are_an_error(high):
    qrels = {"p": {"a": 1}, "q": {"a": high, "b": high, "c": high}}
    run = {"p": {"a": 1.0}, "q": {"c": 2.0, "a": 1.0, "b": 0.5}}
    message = (
        f"gains of query 1 .*too large to add up; its highest level is {high}, and a level gains 2.level - 1"
    )
    with pytest.raises(ValueError, match=message):
        evaluate(qrels, run, "nDCG(gains=exp)")
    assert evaluate(qrels, run, "nDCG")["nDCG"] == 1
    with pytest.raises(ValueError, match=r"too large to add up; .*use smaller gains"):
        evaluate(qrels, run, metrics.nDCG(gains={high: 1.7e308}))
