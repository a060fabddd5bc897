"""Whatever is handed in, a request is uniform or an error says what to pass; the input stays as it was."""

import copy
import uuid
from collections import OrderedDict
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rranker.prompts import TEMPLATES
from rranker.request import QUERY_ID_NAMES, batch_requests, first_wrong, make_request
from rranker.types import Candidate


def test_every_accepted_form():
    metadata = {"year": 1986}
    given = ["Alien", {"text": "Aliens", "id": 7, "year": 1986}, Candidate("Heat", "h", metadata)]
    before = copy.deepcopy(given)
    made = make_request("which film?", given, top_k=2)
    assert made.candidates == (
        Candidate("Alien"),
        Candidate("Aliens", 7, {"year": 1986}),
        Candidate("Heat", "h", {"year": 1986}),
    )
    assert given == before
    metadata["year"] = 0
    assert made.candidates[2].metadata == {"year": 1986}
    assert (made.query, made.top_k, made.instruction) == ("which film?", 2, None)


@pytest.mark.parametrize("form", [OrderedDict, MappingProxyType])
def test_any_mapping_is_a_candidate(form):
    assert make_request("q", [form({"text": "a", "id": "x"})]).candidates == (Candidate("a", "x"),)


def test_iterables_are_read_once():
    made = make_request((t for t in ("Heat", "Alien")), (t for t in ("a", "b")))
    assert made.query == ["Heat", "Alien"]
    assert [c.text for c in made.candidates] == ["a", "b"]


def test_a_history_is_copied():
    history = ["Heat"]
    made = make_request(history, ["a"])
    history.append("Alien")
    assert made.query == ["Heat"]


@pytest.mark.parametrize(
    ("query", "task", "template"),
    [
        ("q", None, "generic"),
        (["t"], None, "recommendation"),
        (["t"], "passage", "passage"),
        ("q", "routing", "routing"),
    ],
)
def test_the_template(query, task, template):
    assert make_request(query, ["a"], task=task).template is TEMPLATES[template]
    assert make_request(query, ["a"], template=task).template is TEMPLATES[template]


def test_template_and_task_are_one_setting():
    with pytest.raises(ValueError, match="two names for one setting"):
        make_request("q", ["a"], template="passage", task="routing")
    (item,) = batch([{"query": "q", "candidates": ["a"], "task": "routing"}], template="passage")
    assert item.template is TEMPLATES["routing"]


def test_nothing_to_rank_is_a_request_too():
    assert make_request("q", []).candidates == ()


QUERY = "query must be a string, or a history as a list of strings, not "
LIST = "candidates must be a list of strings, dicts or Candidates, or a table with a .text. column, not "


@pytest.mark.parametrize(
    ("query", "candidates", "message"),
    [
        (None, ["a"], QUERY + "NoneType"),
        (3, ["a"], QUERY + "int"),
        (b"q", ["a"], QUERY + "bytes"),
        ({"q": 1}, ["a"], QUERY + "dict"),
        (["a", None], ["a"], r"query\[1\] must be a string \(a title\), not NoneType"),
        ("q", None, LIST + "NoneType"),
        ("q", "abc", LIST + "str"),
        ("q", b"abc", LIST + "bytes"),
        ("q", {"text": "a"}, LIST + "dict"),
        ("q", 5, LIST + "int"),
        ("q", ["a", 1], r"candidates\[1\] must be a string, a dict with 'text', or a Candidate, not int"),
        ("q", [None], r"candidates\[0\] must be a string, a dict with 'text', or a Candidate, not NoneType"),
        ("q", [("a", 1)], r"candidates\[0\] must be a string, .* not tuple"),
        ("q", [{"text": 3}], r"the text of candidates\[0\] must be a string, not int"),
        ("q", [Candidate(None)], r"the text of candidates\[0\] must be a string, not NoneType"),
        ("q", [{"text": "a", "id": b"x"}], r"the id of candidates\[0\] must be a string, .*not bytes"),
        ("q", [Candidate("a", True)], r"the id of candidates\[0\] must be a string, .*not bool"),
        ("q", [Candidate("a", 1, None)], r"the metadata of candidates\[0\] must be a dict, not NoneType"),
    ],
)
def test_wrong_types(query, candidates, message):
    with pytest.raises(TypeError, match=message):
        make_request(query, candidates)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"top_k": 0}, ValueError, "top_k must be at least 1, not 0"),
        ({"top_k": -2}, ValueError, "top_k must be at least 1, not -2"),
        ({"top_k": 1.0}, TypeError, "top_k must be a whole number, not 1.0"),
        ({"top_k": True}, TypeError, "top_k must be a whole number, not True"),
        ({"top_k": np.int64(0)}, ValueError, "top_k must be at least 1, not 0"),
        ({"top_k": np.float64(3)}, TypeError, "top_k must be a whole number, not"),
        ({"top_k": np.bool_(True)}, TypeError, "top_k must be a whole number, not bool"),
        ({"query_id": True}, TypeError, "the id of the query must be a string, .*not bool"),
        ({"query_id": 0.5}, ValueError, "the id of the query is 0.5, which is not whole"),
        ({"top_k": "3"}, TypeError, "top_k must be a whole number, not '3'"),
        ({"instruction": 3}, TypeError, "instruction must be a string, not int"),
        ({"task": "films"}, ValueError, "unknown template 'films': use one of passage, .*, or None"),
        ({"task": ["passage"]}, ValueError, "unknown template"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        make_request("q", ["a"], **options)


def test_a_candidate_without_text_says_what_it_has():
    with pytest.raises(ValueError, match=r"candidates\[1\] has no 'text'; it has 'title', 'id'"):
        make_request("q", ["a", {"title": "x", "id": 1}])
    with pytest.raises(ValueError, match=r"candidates\[0\] has no 'text'; it has nothing"):
        make_request("q", [{}])


@pytest.mark.parametrize("number", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_top_k_is_any_whole_number(number):
    made = make_request("q", ["a"], top_k=number)
    assert (made.top_k, type(made.top_k)) == (3, int)


def batch(queries, **defaults):
    made = batch_requests(queries, **{"task": None, "instruction": None, "top_k": None, **defaults})
    if (wrong := first_wrong(made)) is not None:
        raise wrong
    return made


def test_what_is_wrong_in_a_batch_stands_in_its_place():
    made = batch_requests([("q", ["a"]), ("q", "a"), {"query": 1}], task=None, instruction=None, top_k=None)
    assert [type(item).__name__ for item in made] == ["Request", "TypeError", "ValueError"]
    assert str(made[1]).startswith("queries[1]: candidates must be")


def test_a_batch_of_pairs_and_dicts():
    item = {"query": ["Heat"], "candidates": ["a"], "task": "passage", "top_k": 1}
    before = copy.deepcopy(item)
    first, second, third = batch([("q", ["a", "b"]), item, ["q", ["c"]]], instruction="Rank.", top_k=5)
    assert first == make_request("q", ["a", "b"], instruction="Rank.", top_k=5)
    assert second == make_request(["Heat"], ["a"], task="passage", instruction="Rank.", top_k=1)
    assert third.candidates == (Candidate("c"),)
    assert item == before
    assert batch([]) == []


@pytest.mark.parametrize(
    ("queries", "error", "message"),
    [
        ("q", TypeError, r"queries must be a list of \(query, candidates\) pairs"),
        ({"query": "q", "candidates": []}, TypeError, "queries must be a list"),
        (None, TypeError, "queries must be a list"),
        (["q"], TypeError, r"queries\[0\]: must be a \(query, candidates\) pair or a dict, not str"),
        ([("q", ["a"]), ("q",)], TypeError, r"queries\[1\]: must be a \(query, candidates\) pair"),
        ([("q", ["a", 3])], TypeError, r"queries\[0\]: candidates\[1\] must be a string"),
        ([{"query": "q"}], ValueError, r"queries\[0\]: no 'candidates': use query, candidates, template"),
        ([{"query": "q", "candidates": [], "k": 3}], ValueError, r"queries\[0\]: unknown key 'k'"),
        (
            [{"query": "q", "candidates": [], "top_k": 0}],
            ValueError,
            r"queries\[0\]: top_k must be at least 1",
        ),
    ],
)
def test_a_wrong_item_of_a_batch_is_named(queries, error, message):
    with pytest.raises(error, match=message):
        batch(queries)


UUID = uuid.UUID(int=7)


@pytest.mark.parametrize("name", QUERY_ID_NAMES)
@pytest.mark.parametrize("key", ["q7", 7, np.int64(7), UUID, None])
def test_a_batch_keeps_the_id_of_its_query(name, key):
    (made,) = batch([{name: key, "query": "q", "candidates": ["a"]}])
    assert made.query_id == key
    assert made == make_request("q", ["a"], query_id=key)
    assert batch([("q", ["a"])])[0].query_id is None


def test_whole_floats_become_ids_of_queries_with_a_warning():
    with pytest.warns(UserWarning, match="whole floats"):
        (made,) = batch([{"qid": 7.0, "query": "q", "candidates": []}])
    assert (made.query_id, type(made.query_id)) == (7, int)


@pytest.mark.parametrize(
    "table", [pd.DataFrame, pa.Table.from_pylist, list, iter], ids=["pandas", "arrow", "list", "iterator"]
)
def test_a_batch_may_be_a_table(table):
    rows = [
        {"qid": f"q{i}", "query": f"question {i}", "candidates": ["a", "b"], "top_k": 1} for i in range(2)
    ]
    made = batch(table(rows))
    assert made == [make_request(f"question {i}", ["a", "b"], top_k=1, query_id=f"q{i}") for i in range(2)]


def test_a_table_of_judgements_is_no_batch():
    with pytest.raises(
        ValueError, match="queries: the DataFrame has no column 'candidates'; it has 'qid', 'query'"
    ):
        batch(pd.DataFrame({"qid": ["a"], "query": ["q"]}))


def test_errors_of_a_batch_name_every_wrong_query_by_place_and_id():
    good = {"qid": "ok", "query": "q", "candidates": ["a"]}
    bad = [
        {"qid": "x7", "query": "q", "candidates": ["a", 3]},
        ("q", {"a"}),
        {"id": 9, "query": None, "candidates": []},
    ]
    with pytest.raises(TypeError) as raised:
        batch([good, bad[0], good, *bad[1:]])
    message = str(raised.value)
    assert message.startswith("queries[1] (id 'x7'): candidates[1] must be a string")
    assert message.endswith("; also wrong: queries[3], queries[4] (id 9)")
    assert isinstance(raised.value.__cause__, TypeError)
    with pytest.raises(TypeError, match=r"; also wrong: .*queries\[5\] and 2 more$"):
        batch([("q", None)] * 8)


def test_the_id_of_a_query_is_checked():
    with pytest.raises(TypeError, match=r"queries\[0\]: the id of the query must be a string, .*not list"):
        batch([{"qid": ["a"], "query": "q", "candidates": []}])
    with pytest.raises(ValueError, match=r"queries\[0\]: the query's id is given twice, as 'id' and 'qid'"):
        batch([{"qid": "a", "id": "a", "query": "q", "candidates": []}])


def test_an_error_that_takes_more_than_a_message_keeps_its_cause():
    def undecodable():
        yield b"\xff".decode()

    with pytest.raises(ValueError, match=r"queries\[0\] \(id 1\): 'utf-8' codec can't decode") as raised:
        batch([{"id": 1, "query": "q", "candidates": undecodable()}])
    assert isinstance(raised.value.__cause__, UnicodeDecodeError)


def test_what_an_item_leaves_open_is_the_calls():
    rows = {"query": ["tea", "ale"], "candidates": [["a", "b"]] * 2}
    left_open = {"top_k": [1, None], "instruction": ["Rank", None], "template": ["passage", None]}
    table = pd.DataFrame({**rows, **left_open})  # its column of top_k holds floats
    items = [dict(zip(("query", "candidates"), row, strict=True)) for row in zip(*rows.values(), strict=True)]
    items = [{**item, **{k: v[i] for k, v in left_open.items()}} for i, item in enumerate(items)]
    for batch in (table, items):
        first, second = batch_requests(batch, top_k=2, instruction="Sort", template="generic")
        assert (first.top_k, first.instruction, first.template.name) == (1, "Rank", "passage")
        assert (second.top_k, second.instruction, second.template.name) == (2, "Sort", "generic")


def test_a_row_that_asks_for_half_a_place_is_wrong():
    table = pd.DataFrame({"query": ["tea"], "candidates": [["a", "b"]], "top_k": [1.5]})
    (error,) = batch_requests(table)
    assert isinstance(error, TypeError)
    assert "top_k must be a whole number, not 1.5" in str(error)
