"""A ranking is a full permutation that behaves like a list, prints safely and goes to JSON; and the walking order."""

import copy
import dataclasses
import json
import math
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rranker.data import RankingExample
from rranker.ordering import canonical_order
from rranker.request import make_request
from rranker.types import Candidate, RankedCandidate, Ranking, Repair, Round, Stats


def ranking(order=(2, 0, 1), texts=("a", "b", "c"), **more):
    n = len(order)
    items = tuple(
        RankedCandidate(rank, index, None, texts[index], (n - rank + 0.5) / n)
        for rank, index in enumerate(order, 1)
    )
    return Ranking(items, **more)


@pytest.mark.parametrize("order", [(0, 0), (1, 2), (0, 1, 1), (0, -1)])
def test_a_ranking_holds_every_candidate_once(order):
    items = tuple(RankedCandidate(i + 1, index, None, "t", 0.5) for i, index in enumerate(order))
    with pytest.raises(ValueError, match="every candidate exactly once"):
        Ranking(items)


def test_it_behaves_like_a_list():
    got = ranking()
    assert (len(got), bool(got), bool(Ranking(()))) == (3, True, False)
    assert [item.index for item in got] == got.order == [2, 0, 1]
    assert [item.text for item in got[:2]] == ["c", "a"]
    assert (got[0].text, got[-1].text) == ("c", "b")
    assert [item.index for item in reversed(got)] == [1, 0, 2]
    assert got[1] in got
    assert got.index(got[1]) == 1
    with pytest.raises(IndexError):
        got[3]
    assert got.top(2) == got[:2]
    assert (len(got.top(9)), got.top(0)) == (3, [])
    with pytest.raises(ValueError, match=r"top\(k\) takes k >= 0, not -1"):
        got.top(-1)


def test_nothing_can_be_changed():
    got = ranking()
    for thing, name in ((got, "items"), (got[0], "score"), (Candidate("a"), "text"), (Stats(), "seconds")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, None)


def test_to_dict_is_json():
    items = (
        RankedCandidate(1, 1, "x", "b", 0.75, {"year": 1986, "tags": ["sf"]}, 0.875),
        RankedCandidate(2, 0, 3, "ünï", 0.25),
    )
    rounds = (Round((0, 1), (0,), (0.8, 0.2), thought="hm"),)
    got = Ranking(
        items, rounds, Stats(100, 40, 2, 1, 0, 0.5), (Repair("missing", "m", 0),), "dranker", "q1", 0.5
    )
    back = json.loads(json.dumps(got.to_dict()))
    assert back == {
        "method": "dranker",
        "query_id": "q1",
        "threshold": 0.5,
        "items": [
            {
                "rank": 1,
                "index": 1,
                "id": "x",
                "text": "b",
                "score": 0.75,
                "metadata": {"year": 1986, "tags": ["sf"]},
                "relevance": 0.875,
                "span": None,
            },
            {
                "rank": 2,
                "index": 0,
                "id": 3,
                "text": "ünï",
                "score": 0.25,
                "metadata": {},
                "relevance": None,
                "span": None,
            },
        ],
        "rounds": [
            {"alive": [0, 1], "excluded": [0], "probabilities": [0.8, 0.2], "thought": "hm", "selected": []}
        ],
        "stats": {
            "tokens_naive": 100,
            "tokens_encoded": 40,
            "forward_passes": 2,
            "speculation_hits": 1,
            "speculation_misses": 0,
            "seconds": 0.5,
            "tokens_generated": 0,
            "calls": 0,
            "cost": 0.0,
            "tokens_reused": 60,
        },
        "repairs": [{"kind": "missing", "message": "m", "index": 0}],
    }
    got.to_dict()["items"][0]["metadata"]["year"] = 0
    assert items[0].metadata["year"] == 1986


def test_to_dict_is_json_whatever_the_metadata_hold():
    metadata = {
        "n": np.int64(3),
        "vector": np.array([0.5, np.nan]),
        "when": pd.Timestamp("2024-02-29"),
        7: [{1: pd.NA}],
    }
    items = (RankedCandidate(1, 0, uuid.UUID(int=7), "t", np.float64(0.5), metadata),)
    made = Ranking(items, stats=Stats(seconds=math.inf), query_id=np.int64(4)).to_dict()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["items"][0] == {
        "rank": 1,
        "index": 0,
        "id": str(uuid.UUID(int=7)),
        "text": "t",
        "score": 0.5,
        "metadata": {"n": 3, "vector": [0.5, None], "when": "2024-02-29T00:00:00", "7": [{"1": None}]},
        "relevance": None,
        "span": None,
    }
    assert (made["query_id"], made["stats"]["seconds"]) == (4, None)
    metadata["self"] = metadata
    with pytest.raises(ValueError, match="the metadata of candidate 0 contains itself"):
        Ranking(items).to_dict()


def test_equal_rankings_are_equal_however_long_they_took():
    quick, slow = (ranking(stats=Stats(9, 4, 1, seconds=seconds)) for seconds in (0.1, 7.0))
    assert quick == slow
    assert hash(quick) == hash(slow)
    assert quick.stats.seconds != slow.stats.seconds
    assert quick != ranking(stats=Stats(9, 5, 1, seconds=0.1))
    assert quick != ranking(stats=quick.stats, query_id="q")


def test_frozen_things_can_be_hashed():
    candidate = Candidate("a", 1, {"tags": ["sf"]})
    assert len({candidate, Candidate("a", 1, {"tags": ["sf"]}), Candidate("a", 1), Candidate("b", 1)}) == 3
    item = RankedCandidate(1, 0, None, "a", 0.5, {"tags": ["sf"]})
    played = Round((0,), (), (1.0,))
    got = Ranking((item,), (played,), Stats(), (Repair("missing", "m", 0),))
    request = make_request(["Heat"], [candidate])
    case = RankingExample("passage", ["Heat"], None, ["a"], [1.0], "q1")
    for thing in (item, played, got, got.repairs[0], got.stats, request, case):
        assert {thing: 1}[copy.deepcopy(thing)] == 1


def test_repr_of_a_long_ranking_is_short():
    n = 2000
    shown = str(ranking(range(n), [f"text {i}" for i in range(n)], query_id="q 7\n")).split("\n")
    assert len(shown) == 25
    assert shown[0] == "Ranking of 2000 by iranker for query q 7"
    assert [line.split()[0] for line in shown[1:21]] == [str(rank) for rank in range(1, 21)]
    assert shown[21] == "   …  1,977 more"
    assert [line.split()[-1] for line in shown[22:]] == ["1997", "1998", "1999"]
    for n in (23, 24):  # one line is never left out to be replaced by another
        assert len(str(ranking(range(n), ["t"] * n)).split("\n")) == n + 1
    assert len(str(ranking(range(25), ["t"] * 25)).split("\n")) == 25


def test_repr_shows_places_and_repairs():
    got = ranking(repairs=(Repair("missing", "candidate 1 was not named", 1),))
    assert repr(got) == (
        "Ranking of 3 by iranker\n"
        "   1  0.833  [2] c\n"
        "   2  0.500  [0] a\n"
        "   3  0.167  [1] b\n"
        "      1 repair(s): candidate 1 was not named"
    )


@given(st.text(max_size=200), st.text(max_size=20))
@example("a\n   1  0.999  [0] b", "x\ny\x1b[2J")
def test_repr_keeps_a_line_an_item_and_a_terminal_whole(text, name):
    shown = repr(Ranking((RankedCandidate(1, 0, name, text, 1.0),)))
    assert len(shown.split("\n")) == 2
    assert all(c.isprintable() for c in shown.replace("\n", "", 1))


texts = st.lists(st.text(max_size=6) | st.just("\ud800"), max_size=12)


@given(texts, st.integers(-(2**63), 2**63 - 1), st.randoms())
def test_the_walking_order_depends_on_texts_and_seed_alone(given_texts, seed, random):
    order = canonical_order(given_texts, seed)
    assert sorted(order) == list(range(len(given_texts)))
    shuffled = list(given_texts)
    random.shuffle(shuffled)
    walked = [shuffled[i] for i in canonical_order(shuffled, seed)]
    assert walked == [given_texts[i] for i in order]


def test_equal_texts_keep_their_places_and_seeds_differ():
    assert [i for i in canonical_order(["x", "y", "x", "x"]) if i != 1] == [0, 2, 3]
    names = [f"candidate {i}" for i in range(20)]
    orders = {tuple(canonical_order(names, seed)) for seed in range(5)}
    assert len(orders) == 5
    assert tuple(range(20)) not in orders
