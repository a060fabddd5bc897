"""The dict form of runs and qrels: missing queries, values that run code, ids that are not text."""

import gc

import pytest

from rranker import _C
from rranker.metrics import evaluate

OPTIONS = (True, 0, False)


class Number:
    """A number that does something when it is asked for."""

    def __init__(self, value, act=lambda: None):
        self.value, self.act = value, act

    def __float__(self):
        self.act()
        return self.value


def ranked(qrels, run, queries):
    return [a.tolist() for a in _C.rank_dicts(qrels, run, queries, *OPTIONS)]


def test_a_query_that_the_qrels_lack_is_an_error():
    with pytest.raises(ValueError, match="query 'q' is not in the qrels"):
        _C.rank_dicts({}, {}, ["q"], *OPTIONS)
    with pytest.raises(ValueError, match="query '7' is not in the qrels"):
        _C.rank_dicts({"7": {}}, {}, [7], *OPTIONS)
    with pytest.raises(TypeError, match="unhashable"):
        _C.rank_dicts({}, {}, [[]], *OPTIONS)
    assert ranked({"q": {"a": 1}}, {}, ["q"]) == [[0, 0], [], [0, 1], [1], [0]]
    assert ranked({"q": {}}, {"q": {"a": 1.0}}, ["q"]) == [[0, 1], [-1], [0, 0], [], [0]]
    assert ranked({}, {}, []) == [[0], [], [0], [], []]


@pytest.mark.parametrize("act", ["clear the run", "clear the qrels", "grow the run", "drop both"])
@pytest.mark.parametrize("place", [0, 20, 49])
def test_dicts_may_change_while_a_value_is_asked_for(act, place):
    def change():
        if act == "clear the run":
            run["q"].clear()
        elif act == "clear the qrels":
            qrels["q"].clear()
        elif act == "grow the run":
            run["q"].update({f"more {i}": Number(0.0) for i in range(1000)})
        else:
            run.clear(), qrels.clear(), gc.collect()
        _ = [f"{i}" * 20 for i in range(2000)]  # takes the memory that was freed

    qrels = {"q": {f"d{i}": Number(float(i == 3)) for i in range(50)}}
    run = {"q": {f"d{i}": Number(float(-i), change if i == place else lambda: None) for i in range(50)}}
    offsets, levels, _, judged, _ = ranked(qrels, run, ["q"])
    assert offsets == [0, 50]
    assert levels == [int(i == 3) for i in range(50)]
    assert judged == [1] + [0] * 49


def test_the_list_of_queries_may_change():
    queries = ["q", "r"]
    qrels, run = {"q": {"a": 1}, "r": {"a": 1}}, {"q": {"a": Number(1.0, queries.clear)}, "r": {}}
    assert ranked(qrels, run, queries)[0] == [0, 1]


def test_the_cause_of_an_error_is_kept():
    def fail(error):
        def act():
            raise error

        return act

    for error in (ValueError("no reading"), OverflowError("too far"), TypeError("odd")):
        with pytest.raises(TypeError, match=r"run\['q'\]\['a'\] must be a number, not Number") as caught:
            evaluate({"q": {"a": 1}}, {"q": {"a": Number(1.0, fail(error))}})
        assert caught.value.__cause__ is error
    for error in (KeyboardInterrupt(), MemoryError(), RuntimeError("closed")):
        with pytest.raises(type(error)) as caught:
            evaluate({"q": {"a": 1}}, {"q": {"a": Number(1.0, fail(error))}})
        assert caught.value is error


def test_ids_that_are_not_text_are_left_to_the_caller():
    class Text(str):
        __slots__ = ()

    for other in (7, Text("a"), None):
        assert _C.rank_dicts({"q": {other: 1}}, {"q": {"a": 1.0}}, ["q"], *OPTIONS) is None
        assert _C.rank_dicts({"q": {"a": 1}}, {"q": {"b": 1.0, other: 1.0}}, ["q"], *OPTIONS) is None


def test_ids_that_no_encoding_holds_are_named():
    with pytest.raises(ValueError, match=r"run\['q'\]\['\\ud800'\] is not a number"):
        evaluate({"q": {"a": 1}}, {"q": {"\ud800": float("nan")}})
