"""Measure names -> measures: `nDCG@10`, `nDCG(gains=exp)@10`, and as trec_eval, ir_measures and ranx spell them."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields
from typing import Any

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
_OTHER_NAMES: dict[str, type[Measure]] = {
    "ndcg_cut": nDCG,
    "ndcg_burges": nDCG,
    "mrr": RR,
    "recip_rank": RR,
    "map": AP,
    "map_cut": AP,
    "precision": P,
    "prec": P,
    "recall": R,
    "set_recall": R,
    "setr": R,
    "hr": Hit,
    "hit_rate": Hit,
    "hitrate": Hit,
    "num_q": NumQ,
    "num_ret": NumRet,
    "num_rel": NumRel,
    "num_rel_ret": NumRelRet,
}
_CLASSES = {m.label.lower(): m for m in MEASURES} | _OTHER_NAMES
_SPELLINGS = {m.label.lower(): m.label for m in MEASURES} | {name: name for name in _OTHER_NAMES}
# What trec_eval prints of a `_cut` measure that is asked for without cutoffs.
_TREC_CUTOFFS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
_PATTERN = re.compile(
    r"(?P<name>[A-Za-z_]+?)(\((?P<params>[^)]*)\))?((?P<mark>[@_.])(?P<cutoffs>\d+(,\d+)*))?(-l(?P<rel>\d+))?"
)
_GAINS = {"log2": "linear", "exp-log2": "exp"}  # ir_measures' `dcg`


def parse_measure(name: str | Measure) -> Measure:
    """The measure of a name; measures pass through. Names do not mind case.

    Beside `nDCG@10` there are trec_eval's `ndcg_cut_10` and `ndcg_cut.10`, ranx's `ndcg@10-l2` and `rbp.95`, and
    ir_measures' `nDCG(dcg='exp-log2')@10`. Raises ValueError for an unknown name, with the nearest known one, and for
    one that stands for several measures (`ndcg_cut.1,3`), which `evaluate` takes.
    """
    measures = parse_measures(name)
    if len(measures) != 1:
        raise ValueError(
            f"{name!r} stands for {len(measures)} measures: {', '.join(measures)}; name one of them"
        )
    return next(iter(measures.values()))


def parse_measures(name: str | Measure) -> dict[str, Measure]:
    """The measures of a name, by the name each goes under: the given one, or where it lists cutoffs, trec_eval's.

    `ndcg_cut.1,3` gives `ndcg_cut_1` and `ndcg_cut_3`; `ndcg_cut` alone gives trec_eval's nine cutoffs.
    """
    if isinstance(name, Measure):
        return {str(name): name}
    if not isinstance(name, str):
        raise TypeError(f"a measure is a name such as 'nDCG@10' or a Measure, not {type(name).__name__}")
    # trec_eval gives parameters after a point: `ndcg.1=3,2=9`.
    match = _PATTERN.fullmatch(re.sub(r"^(\w+)\.([^=,]+=.*)$", r"\1(\2)", name.strip()))
    kind = _CLASSES.get(match["name"].lower()) if match else None
    if match is None or kind is None:
        raise ValueError(_unknown(name))
    called = match["name"].lower()
    try:
        params = _params(kind, match["params"] or "")
        cutoffs = [int(k) for k in match["cutoffs"].split(",")] if match["cutoffs"] else []
        if match["rel"]:
            params["rel"] = int(match["rel"])
        if called == "ndcg_burges":  # ranx
            params["gains"] = "exp"
        if called == "rbp" and match["mark"] == "." and len(cutoffs) == 1:  # ranx: the digits of p
            params["p"], cutoffs = float(f"0.{match['cutoffs']}"), []
        if kind is NumRet and "rel" in params:  # ir_measures: the relevant ones of those retrieved
            kind = NumRelRet
        if called.endswith("_cut") and not cutoffs and "k" not in params:
            cutoffs = list(_TREC_CUTOFFS)
        if not cutoffs:
            return {name: kind(**params)}
        if len(cutoffs) == 1:
            return {name: kind(**params | {"k": cutoffs[0]})}
        stem = match["name"] + (f"({match['params']})" if match["params"] else "")
        mark = "@" if match["mark"] == "@" else "_"
        return {f"{stem}{mark}{k}": kind(**params | {"k": k}) for k in cutoffs}
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot read the measure {name!r}: {error}") from error


def _params(kind: type[Measure], text: str) -> dict[str, Any]:
    known = [field.name for field in fields(kind)]
    params: dict[str, Any] = {}
    gains: dict[int, float] = {}
    for part in filter(None, re.sub(r"[\s'\"]", "", text).split(",")):
        key, mark, value = part.partition("=")
        key = {"cutoff": "k", "dcg": "gains"}.get(key, key)
        if not mark:
            raise ValueError(f"{part!r} is no parameter; write name=value")
        if kind is nDCG and key.isdigit():
            gains[int(key)] = float(value)
        elif key not in known:
            raise ValueError(f"{kind.label} has no parameter {key!r}; it has {', '.join(known)}")
        elif key == "gains":
            params[key] = _GAINS.get(value, value)
        else:
            params[key] = float(value) if key == "p" else int(value)
    if gains:
        params["gains"] = gains
    return params


def _unknown(name: str) -> str:
    start = re.match(r"[A-Za-z_]*", name.strip())
    called = start[0].rstrip("_") if start else ""
    rest = name.strip()[len(called) :]
    if called.lower() in _CLASSES:
        return (
            f"cannot read {rest!r} of the measure {name!r}; cutoffs and parameters stand as in AP(rel=2)@10"
        )
    near = difflib.get_close_matches(called.lower(), _SPELLINGS, n=1)
    advice = f"did you mean {_SPELLINGS[near[0]] + rest!r}? " if near else ""
    known = ", ".join(m.label for m in MEASURES)
    return f"no measure is called {name!r}; {advice}Known are {known}, with a cutoff as in nDCG@10"
