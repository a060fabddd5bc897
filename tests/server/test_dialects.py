"""Each dialect answers in its own shape, with the rankings of the library."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from rranker import Ranker, Ranking
from rranker.settings import RankSettings
from tests.server.conftest import Server

QUERY = "how do bees find flowers?"
TEXTS = [
    "Shares fell on Tuesday.",
    "Bees dance to tell each other where flowers are.",
    "Petals carry patterns that guide insects to nectar.",
    "Honey is made of nectar.",
]


@pytest.fixture(scope="module")
def expected(ranker: Ranker) -> Ranking:
    return ranker.rank(QUERY, TEXTS, template="passage")


def pairs(ranking: Ranking) -> list[tuple[int, float]]:
    return [(item.index, pytest.approx(item.relevance, rel=1e-3)) for item in ranking]


def said(results: list[dict[str, Any]], score: str = "relevance_score") -> list[tuple[int, float]]:
    return [(row["index"], row[score]) for row in results]


@pytest.mark.parametrize(("path", "version"), [("/v2/rerank", "2"), ("/v1/rerank", "1"), ("/rerank", "2")])
def test_cohere_jina_and_vllm_share_a_superset(
    path: str, version: str, server: Server, expected: Ranking
) -> None:
    body = {"model": "any", "query": QUERY, "documents": TEXTS}
    answer = server.post(path, body)
    found = answer.json
    assert answer.status == 200
    assert said(found["results"]) == pairs(expected)
    # Cohere's v2 has no documents in its results; vLLM's always have, and Jina's unless asked otherwise.
    texts = set() if path == "/v2/rerank" else {"document"}
    assert all(row.keys() == {"index", "relevance_score"} | texts for row in found["results"])
    bare = server.post(path, {**body, "return_documents": False}).json["results"]
    assert all(row.keys() == {"index", "relevance_score"} for row in bare)
    assert found["model"] == "rranker"
    assert found["id"] == answer.headers["x-request-id"]
    assert found["meta"]["api_version"] == {"version": version}
    assert found["meta"]["tokens"]["input_tokens"] == expected.stats.tokens_encoded
    assert found["meta"]["cached_tokens"] == expected.stats.tokens_reused
    assert found["usage"]["total_tokens"] == expected.stats.tokens_encoded
    assert found["meta"]["warnings"] == []
    everything = server.post(path, {**body, "top_n": 0}).json["results"]
    assert said(everything) == said(found["results"])
    two = server.post(path, {**body, "top_n": 2, "return_documents": True}).json["results"]
    assert [(row["index"], row["document"]) for row in two] == [
        (item.index, {"text": item.text}) for item in expected.top(2)
    ]


def test_documents_may_be_objects(server: Server, expected: Ranking) -> None:
    objects: list[Any] = [{"text": TEXTS[0]}, {"content": TEXTS[1]}, TEXTS[2]]
    objects.append({"content": [{"type": "text", "text": TEXTS[3]}]})
    found = server.post("/v2/rerank", {"query": QUERY, "documents": objects}).json
    assert said(found["results"]) == pairs(expected)
    fields = [{"title": "x", "body": text} for text in TEXTS]
    found = server.post("/v1/rerank", {"query": QUERY, "documents": fields, "rank_fields": ["body"]})
    assert found.status == 200
    assert found.json["results"][0]["index"] == expected[0].index
    wrong = server.post("/v1/rerank", {"query": QUERY, "documents": fields})
    assert wrong.status == 400
    assert "documents[0]" in wrong.json["message"]


@pytest.mark.parametrize("setting", [{"max_tokens_per_doc": 3}, {"truncate_prompt_tokens": 9}])
def test_what_is_cut_is_ranked_as_cut_and_warned_of(
    setting: dict[str, int], server: Server, ranker: Ranker
) -> None:
    # The query has six tokens, so both leave three of each document.
    cut = ["Shares fell on", "Bees dance to", "Petals carry patterns", "Honey is made"]
    expected = ranker.rank(QUERY, cut, template="passage")
    body = {"query": QUERY, "documents": TEXTS, "return_documents": True, **setting}
    found = server.post("/v2/rerank", body).json
    assert [row["index"] for row in found["results"]] == expected.order
    assert {row["document"]["text"] for row in found["results"]} == set(TEXTS)
    assert len(found["meta"]["warnings"]) == 4


@pytest.mark.parametrize("setting", [{"max_tokens_per_doc": 3}, {"truncate_prompt_tokens": 9}])
def test_what_no_encoding_can_hold_is_cut_like_other_text(setting: dict[str, int], server: Server) -> None:
    broken = "Bees \ud800 dance to say where"
    body = {"query": QUERY + "\ud800", "documents": [broken, TEXTS[0]], "return_documents": True, **setting}
    found = server.post("/v2/rerank", body)
    assert found.status == 200
    assert {row["document"]["text"] for row in found.json["results"]} == {broken, TEXTS[0]}
    assert any("document 0 was cut" in warning for warning in found.json["meta"]["warnings"])


def test_vllm_takes_one_document_and_no_limit_by_nought(server: Server) -> None:
    body = {"query": QUERY, "documents": TEXTS[1], "max_tokens_per_doc": 0}
    found = server.post("/rerank", body).json
    assert [row["document"] for row in found["results"]] == [{"text": TEXTS[1]}]
    assert found["meta"]["warnings"] == []


def test_vllm_takes_queries_and_documents_in_parts_of_text(server: Server) -> None:
    def parts(text: str) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": text}]}

    plain = {"query": QUERY, "documents": TEXTS[1]}
    inside = {"query": parts(QUERY), "documents": parts(TEXTS[1])}
    for limit in ({}, {"truncate_prompt_tokens": 9}):
        found, expected = (server.post("/rerank", body | limit).json for body in (inside, plain))
        assert said(found["results"]) == said(expected["results"])
        assert found["results"][0]["document"] == {"text": TEXTS[1]}
    scores = [
        server.post("/score", {"queries": q, "documents": d}) for q, d in (plain.values(), inside.values())
    ]
    assert scores[0].json["data"] == scores[1].json["data"]
    many = server.post("/score", {"data_1": parts(QUERY), "data_2": [*map(parts, TEXTS[:2])]}).json["data"]
    assert [row["index"] for row in many] == [0, 1]
    for body, name in (
        ({"query": {"content": [{"type": "image_url"}]}, "documents": "a"}, "query.content must hold parts"),
        ({"query": {"title": "x"}, "documents": "a"}, "query must be a string, or an object"),
        ({"query": "x", "documents": {"title": "x"}}, "documents[0] must be a string, or an object"),
    ):
        refused = server.post("/rerank", body)
        assert (refused.status, name in refused.json["message"]) == (400, True)


def test_text_embeddings_inference_refuses_long_texts_where_they_may_not_be_cut(server: Server) -> None:
    body = {"query": QUERY, "texts": ["word " * 2000, "other"]}
    assert server.post("/rerank", body).status == 200
    refused = server.post("/rerank", {**body, "truncate": False})
    assert (refused.status, refused.json["error_type"]) == (422, "Validation")
    assert server.post("/rerank", {"query": QUERY, "texts": TEXTS, "truncate": False}).status == 200


@pytest.mark.parametrize("left", ["left", "Left"])
def test_texts_are_not_cut_at_the_other_end_than_asked_for(left: str, server: Server) -> None:
    body = {"query": QUERY, "texts": ["word " * 2000, "other"], "truncation_direction": left}
    refused = server.post("/rerank", body)
    assert (refused.status, refused.json["error_type"]) == (422, "Validation")
    assert "does not cut at the left" in refused.json["error"]
    assert server.post("/rerank", {**body, "truncation_direction": "Right"}).status == 200
    assert server.post("/rerank", {**body, "texts": TEXTS}).status == 200


def test_equal_relevance_keeps_the_order_of_the_ranking_in_every_dialect(server: Server) -> None:
    """No dialect promises more of ties than that scores do not rise; ours are broken by rank, the same in all."""
    same = [TEXTS[1], TEXTS[0], TEXTS[1], TEXTS[1]]
    orders = []
    for path, key in (("/v2/rerank", "documents"), ("/rerank", "texts"), ("/sglang/v1/rerank", "documents")):
        found = server.post(path, {"query": QUERY, key: same}).json
        rows = found["results"] if isinstance(found, dict) else found
        scores = [row.get("score", row.get("relevance_score")) for row in rows]
        assert scores == sorted(scores, reverse=True)
        orders.append([row["index"] for row in rows])
    assert orders == [[0, 2, 3, 1]] * 3


def test_repairs_appear_as_warnings(server: Server) -> None:
    found = server.post("/v2/rerank", {"query": QUERY, "documents": ["word " * 2000, "other"]}).json
    assert found["meta"]["warnings"]


@pytest.mark.parametrize("text", ["\ud800 half", "<script>", "\u202eright to left", "\0"])
def test_any_text_comes_back_as_it_was(text: str, server: Server) -> None:
    tei = server.post("/rerank", {"query": text, "texts": [text, "b"], "return_text": True})
    assert {row["text"] for row in tei.json} == {text, "b"}
    cohere = server.post("/rerank", {"query": text, "documents": [text], "return_documents": True})
    assert cohere.json["results"][0]["document"] == {"text": text}
    ranked = server.post("/v1/rank", {"query": [text], "candidates": [text, "b"], "stream": True})
    assert ranked.status == 200
    assert json.dumps(text).encode() in ranked.body


def test_text_embeddings_inference(server: Server, expected: Ranking) -> None:
    body = {"query": QUERY, "texts": TEXTS}
    found = server.post("/rerank", body).json
    assert said(found, "score") == pairs(expected)
    assert all(row.keys() == {"index", "score"} for row in found)
    raw = server.post("/rerank", {**body, "raw_scores": True, "return_text": True}).json
    assert [row["text"] for row in raw] == [item.text for item in expected]
    for row, plain in zip(raw, found, strict=True):
        assert 1 / (1 + math.exp(-row["score"])) == pytest.approx(plain["score"], abs=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"query": "q", "texts": []}, 400, "Empty"),
        ({"texts": ["a"]}, 422, "Validation"),
        ({"query": "q", "texts": ["a"] * 1001}, 413, "Validation"),
    ],
)
def test_errors_of_text_embeddings_inference(body: Any, status: int, kind: str, server: Server) -> None:
    answer = server.post("/rerank", body)
    assert (answer.status, answer.json.keys(), answer.json["error_type"]) == (
        status,
        {"error", "error_type"},
        kind,
    )


def part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def test_sglang_and_infinity(server: Server, expected: Ranking) -> None:
    found = server.post("/sglang/v1/rerank", {"query": QUERY, "documents": TEXTS, "top_n": 3}).json
    assert [(row["index"], row["document"]) for row in found] == [
        (item.index, item.text) for item in expected.top(3)
    ]
    assert (
        server.post(
            "/sglang/v1/rerank", {"query": QUERY, "documents": TEXTS, "return_documents": False}
        ).json[0]["document"]
        is None
    )
    parts = {"query": [part(QUERY)], "documents": [[part(text)] for text in TEXTS]}
    again = server.post("/sglang/v1/rerank", parts).json
    assert said(again, "score") == pairs(expected)
    image = {"type": "image_url", "image_url": {"url": "x"}}
    refused = server.post("/sglang/v1/rerank", {"query": QUERY, "documents": ["a", [image]]})
    assert refused.status == 400
    assert "documents[1] must hold parts of text" in refused.json["message"]
    body = {"model": "m", "query": QUERY, "documents": TEXTS, "return_documents": True}
    answer = server.post("/infinity/rerank", body).json
    assert answer["object"] == "rerank"
    assert said(answer["results"]) == pairs(expected)
    assert [row["document"] for row in answer["results"]] == [item.text for item in expected]


def test_score_is_the_relevance_of_each_pair_alone(server: Server, ranker: Ranker) -> None:
    alone = [ranker.rank(QUERY, [text], template="passage", relevance=True)[0].relevance for text in TEXTS]
    for path, names in (
        ("/score", ("text_1", "text_2")),
        ("/v1/score", ("queries", "documents")),
        ("/score", ("queries", "items")),
        ("/score", ("data_1", "data_2")),
    ):
        found = server.post(path, {names[0]: QUERY, names[1]: TEXTS}).json
        assert [row["index"] for row in found["data"]] == [0, 1, 2, 3]
        assert [row["score"] for row in found["data"]] == pytest.approx(alone, rel=1e-3)
    both = server.post("/score", {"text_1": [QUERY, "tea"], "text_2": TEXTS[:2]}).json["data"]
    assert both[0]["score"] == pytest.approx(alone[0], rel=1e-3)
    assert server.post("/score", {"text_1": ["a", "b"], "text_2": ["c", "d", "e"]}).status == 400
    assert server.post("/score", {"text_1": "a"}).status == 400


def test_rank_says_all_that_the_library_does(server: Server, ranker: Ranker) -> None:
    candidates = [{"id": f"p{i}", "text": text, "page": i} for i, text in enumerate(TEXTS)]
    body = {"query": QUERY, "candidates": candidates, "template": "passage", "threshold": 0.3}
    found = server.post("/v1/rank", body).json
    expected = ranker.rank(QUERY, candidates, template="passage", threshold=0.3).to_dict()
    assert found.keys() == expected.keys() | {"id", "model"}
    assert [item["metadata"] for item in found["items"]] == [item["metadata"] for item in expected["items"]]
    assert [r["excluded"] for r in found["rounds"]] == [r["excluded"] for r in expected["rounds"]]
    history = server.post("/v1/rank", {"query": ["Alien", "Aliens"], "candidates": ["Predator", "Clueless"]})
    assert history.json["items"][0]["text"] == "Predator"
    wrong = server.post("/v1/rank", {**body, "method": "best"})
    assert wrong.status == 400
    assert "best" in wrong.json["message"]


def test_rank_takes_every_setting_of_a_call(server: Server, ranker: Ranker) -> None:
    from rranker.server.schemas import Rank

    own = {"query", "candidates", "stream"}
    assert Rank.model_fields.keys() - own == RankSettings.__annotations__.keys() - {"task"}
    body = {"query": QUERY, "candidates": TEXTS, "self_consistency": 2, "method": "selection"}
    found = server.post("/v1/rank", body).json
    expected = ranker.rank(QUERY, TEXTS, self_consistency=2, method="selection")
    assert [item["index"] for item in found["items"]] == expected.order
    assert len(found["rounds"]) == len(expected.rounds)
    many = server.post("/v1/rank", {**body, "self_consistency": 10**6})
    assert (many.status, many.json["message"].split(" are")[0]) == (413, "4 candidates, 1000000 times,")


def test_rounds_come_as_events_and_then_the_ranking(server: Server, ranker: Ranker) -> None:
    body = {"query": QUERY, "candidates": TEXTS, "template": "passage", "stream": True}
    answer = server.post("/v1/rank", body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [block.split("\n") for block in answer.body.decode().strip().split("\n\n")]
    kinds = [lines[0].removeprefix("event: ") for lines in events]
    data = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    expected = ranker.rank(QUERY, TEXTS, template="passage")
    assert kinds == ["round"] * len(expected.rounds) + ["ranking"]
    assert [row["excluded"] for row in data[:-1]] == [list(r.excluded) for r in expected.rounds]
    assert data[-1]["rounds"] == data[:-1]
    assert [item["index"] for item in data[-1]["items"]] == expected.order
    refused = server.post("/v1/rank", {**body, "method": "best"})
    assert refused.status == 400
