"""Ranking measures that equal trec_eval's, TREC files, and paired tests.

>>> from rranker.metrics import evaluate
>>> evaluate("qrels.txt", "run.txt.gz", ["nDCG@10", "RR", "AP", "R@100"])  # doctest: +SKIP
"""

from rranker.metrics.average_precision import AP
from rranker.metrics.bpref import Bpref
from rranker.metrics.columns import Columns
from rranker.metrics.counts import NumQ, NumRel, NumRelRet, NumRet
from rranker.metrics.err import ERR
from rranker.metrics.evaluate import evaluate
from rranker.metrics.evaluation import Evaluation
from rranker.metrics.hit import Hit
from rranker.metrics.measure import Measure, Ranked
from rranker.metrics.names import parse_measure, parse_measures
from rranker.metrics.ndcg import nDCG
from rranker.metrics.precision import P
from rranker.metrics.rbp import RBP
from rranker.metrics.recall import R
from rranker.metrics.reciprocal_rank import RR
from rranker.metrics.significance import (
    Comparison,
    bootstrap_interval,
    paired_bootstrap,
    paired_randomisation,
)
from rranker.metrics.success import Success
from rranker.metrics.trec import read_qrels, read_run
from rranker.metrics.trec_write import write_qrels, write_run

__all__ = [
    "AP",
    "ERR",
    "RBP",
    "RR",
    "Bpref",
    "Columns",
    "Comparison",
    "Evaluation",
    "Hit",
    "Measure",
    "NumQ",
    "NumRel",
    "NumRelRet",
    "NumRet",
    "P",
    "R",
    "Ranked",
    "Success",
    "bootstrap_interval",
    "evaluate",
    "nDCG",
    "paired_bootstrap",
    "paired_randomisation",
    "parse_measure",
    "parse_measures",
    "read_qrels",
    "read_run",
    "write_qrels",
    "write_run",
]
