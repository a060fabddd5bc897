"""`Ranker.rank` and `rank_batch` on random objects, with the bundled model."""

from __future__ import annotations

import json
import re
import warnings
from functools import cache
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from rranker import Candidate, Ranker, Ranking
from rranker.calibration import Calibration
from rranker.engine.engine import Engine
from rranker.methods import method_names
from rranker.scorers.engine_logits import EngineScorer
from tests.fuzz.objects import anything, hashable, short_text, tables
from tests.fuzz.runner import Target

ids = hashable | st.integers(0, 5).map(float)
metadata = st.dictionaries(short_text | hashable, anything, max_size=3)


def _record(text: Any, key: Any, name: str, more: dict[Any, Any]) -> dict[Any, Any]:
    return {**more, "text": text, name: key}


candidate = st.one_of(
    short_text,
    st.builds(Candidate, short_text, ids, metadata),
    st.builds(_record, short_text, ids, st.sampled_from(["id", "docno", "_id", "x"]), metadata),
)
candidate_lists = st.lists(candidate, max_size=6) | st.lists(short_text, max_size=6)
candidates = st.one_of(
    candidate_lists,
    candidate_lists.map(tuple),
    candidate_lists.map(iter),
    st.lists(candidate | anything, max_size=4),
    tables(),
    anything,
)
queries = (
    short_text | st.lists(short_text, max_size=4) | st.lists(short_text, max_size=4).map(tuple) | anything
)
options = st.fixed_dictionaries(
    {},
    optional={
        "template": st.sampled_from([None, "passage", "recommendation", "routing", "generic"]) | anything,
        "task": st.sampled_from([None, "passage"]) | anything,
        "instruction": short_text | st.none() | anything,
        "top_k": st.integers(-1, 4) | anything,
        "relevance": st.sampled_from([None, True, False]) | anything,
        "threshold": st.floats(-0.5, 1.5) | anything,
        "method": st.sampled_from([None, *method_names()]) | anything,
        "window": st.integers(1, 4) | anything,
        "long_text": st.sampled_from([None, "truncate", "chunk"]) | anything,
        "aggregate": st.sampled_from([None, "max", "mean"]) | anything,
        "stop_below": st.floats(-0.1, 0.6) | anything,
        "self_consistency": st.integers(0, 3) | anything,
    },
)
calls = st.tuples(queries, candidates, options)


def _item(call: tuple[Any, Any, dict[str, Any]], name: str, key: Any) -> Any:
    query, given, more = call
    return {"query": query, "candidates": given, **({name: key} if name else {}), **more}


items = st.one_of(
    st.builds(_item, calls, st.sampled_from(["", "id", "qid", "query_id", "k"]), ids),
    st.tuples(short_text, candidate_lists),
    anything,
)
batches = (
    st.lists(items, max_size=3) | st.lists(st.tuples(short_text, candidate_lists), max_size=3) | anything
)

# What an error must name: an argument, or the place of what is wrong.
_NAMED = re.compile(
    r"\b(candidates?|quer(y|ies)|history|task|template|instruction|top_k|relevance|threshold|method|window"
    r"|long_text|aggregate|stop_below|self_consistency)\b"
)


@cache
def _ranker() -> Ranker:
    calibration = {name: Calibration(0.5, 1.0) for name in ("passage", "recommendation")}
    return Ranker(scorer=EngineScorer(Engine.load(), calibration=calibration))


def _check_ranking(ranking: Ranking) -> None:
    assert sorted(ranking.order) == list(range(len(ranking)))
    for above, below in pairwise(ranking):
        same = above.text == below.text
        assert above.score == below.score if same else above.score > below.score
        assert not same or above.index < below.index
        assert (above.relevance is None) == (below.relevance is None)
        assert above.relevance is None or 0 <= below.relevance <= above.relevance <= 1
    assert ranking.kept == ranking[: len(ranking.kept)]
    made = ranking.to_dict()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert len(repr(ranking).split("\n")) == len(ranking) + 1 + bool(ranking.repairs)
    hash(ranking)


def _check_message(message: str) -> None:
    assert _NAMED.search(message), f"names neither argument nor place: {message}"


def _call(method: str, given: Any) -> list[Ranking | Exception]:
    if method == "rank":
        query, choices, more = given
        return [_ranker().rank(query, choices, **more)]
    return _ranker().rank_batch(
        given, on_error="raise" if method == "rank_batch" else "return", progress=False
    )


def check(call: tuple[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="ids that are whole floats")
        try:
            results = _call(*call)
        except (TypeError, ValueError) as error:
            _check_message(str(error))
            return
    for place, result in enumerate(results):
        if isinstance(result, Ranking):
            _check_ranking(result)
        else:
            assert isinstance(result, (TypeError, ValueError))
            assert str(result).startswith(f"queries[{place}]")


TARGET = Target(
    "rank",
    st.tuples(st.just("rank"), calls) | st.tuples(st.sampled_from(["rank_batch", "on_error"]), batches),
    check,
    chunk=60,
    prepare=_ranker,
)
