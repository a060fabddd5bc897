"""Measure names -> measures: `nDCG@10`, `nDCG(gains=exp)@10`, `RBP(p=0.9)`, and trec_eval's own spellings."""

from __future__ import annotations

import re

from rranker.metrics.average_precision import AP
from rranker.metrics.bpref import Bpref
from rranker.metrics.counts import NumQ, NumRel, NumRelRet, NumRet
from rranker.metrics.err import ERR
from rranker.metrics.hit import Hit
from rranker.metrics.measure import Measure
from rranker.metrics.ndcg import nDCG
from rranker.metrics.precision import P
from rranker.metrics.rbp import RBP
from rranker.metrics.recall import R
from rranker.metrics.reciprocal_rank import RR
from rranker.metrics.success import Success

MEASURES: tuple[type[Measure], ...] = (
    *(nDCG, RR, AP, P, R, Hit, Success, ERR, RBP, Bpref),
    *(NumQ, NumRet, NumRel, NumRelRet),
)
_CLASSES: dict[str, type[Measure]] = {m.label.lower(): m for m in MEASURES} | {
    "mrr": RR,
    "map": AP,
    "precision": P,
    "recall": R,
    "hr": Hit,
    "ndcg_cut": nDCG,
    "map_cut": AP,
    "recip_rank": RR,
    "num_q": NumQ,
    "num_ret": NumRet,
    "num_rel": NumRel,
    "num_rel_ret": NumRelRet,
    "set_recall": R,
}
_PATTERN = re.compile(r"(?P<name>[A-Za-z_]+?)(\((?P<params>[^)]*)\))?([@_](?P<k>\d+))?$")


def parse_measure(name: str | Measure) -> Measure:
    """The measure of a name; measures pass through. Names do not mind case, and `ndcg_cut_10` is
    `nDCG@10`."""
    if isinstance(name, Measure):
        return name
    if not isinstance(name, str):
        raise TypeError(f"a measure is a name such as 'nDCG@10' or a Measure, not {type(name).__name__}")
    if name == "rbp":
        return RBP(p=0.9)  # trec_eval's default
    match = _PATTERN.fullmatch(name.strip())
    kind = _CLASSES.get(match["name"].lower()) if match else None
    if match is None or kind is None:
        known = ", ".join(m.label for m in MEASURES)
        raise ValueError(f"no measure is called {name!r}; known are {known}, with a cutoff as in nDCG@10")
    params: dict[str, object] = {"k": int(match["k"])} if match["k"] else {}
    gains: dict[int, float] = {}
    try:
        for part in filter(None, (match["params"] or "").replace(" ", "").split(",")):
            key, value = part.split("=")
            if key.isdigit():
                gains[int(key)] = float(value)
            elif key == "gains":
                params[key] = value
            else:
                params[key] = float(value) if key == "p" else int(value)
        if gains:
            params["gains"] = gains
        return kind(**params)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot read the measure {name!r}: {error}") from error
