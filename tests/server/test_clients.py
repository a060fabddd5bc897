"""Clients of others, as they are installed, and requests that a fuzzer makes of our own OpenAPI."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.conftest import Server

QUERY, TEXTS = "who wrote Emma?", ["Tea is a drink.", "Jane Austen wrote Emma in 1815."]


@pytest.mark.parametrize("kind", ["Client", "ClientV2"])
def test_the_client_of_cohere(kind: str, server: Server) -> None:
    cohere = pytest.importorskip("cohere")
    client = getattr(cohere, kind)("a key", base_url=f"http://127.0.0.1:{server.port}")
    found = client.rerank(model="rranker", query=QUERY, documents=TEXTS, top_n=1)
    assert [result.index for result in found.results] == [1]
    assert 0 < found.results[0].relevance_score < 1
    assert found.meta.api_version.version == ("2" if kind == "ClientV2" else "1")
    assert found.meta.billed_units.search_units == 1
    with pytest.raises(cohere.BadRequestError, match="documents"):
        client.rerank(model="rranker", query=QUERY, documents=[])


def test_litellm_as_a_gateway_asks_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else importing it fetches prices
    litellm = pytest.importorskip("litellm", reason="needs LiteLLM: pip install litellm")
    ask = {
        "query": QUERY,
        "documents": TEXTS,
        "api_base": f"http://127.0.0.1:{server.port}",
        "api_key": "a key",
    }
    expected = server.post("/v2/rerank", {"model": "rranker", "query": QUERY, "documents": TEXTS}).json[
        "results"
    ]
    for provider in ("hosted_vllm", "cohere"):
        found = litellm.rerank(model=f"{provider}/rranker", top_n=1, **ask)
        assert [result["index"] for result in found.results] == [1]
        assert found.results[0]["relevance_score"] == pytest.approx(expected[0]["relevance_score"], abs=1e-3)
    found = asyncio.run(litellm.arerank(model="hosted_vllm/rranker", **ask))
    assert [result["index"] for result in found.results] == [result["index"] for result in expected]


def test_no_request_that_our_openapi_allows_breaks_the_server(server: Server) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    seen = set[str]()
    for operation in schema.get_all_operations():
        strategy = operation.ok().as_strategy()

        @settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=strategy)
        def check(case: object) -> None:
            answer = case.call()  # type: ignore[attr-defined]
            assert answer.status_code < 500, answer.text
            seen.add(case.path)  # type: ignore[attr-defined]

        check()
    assert {"/v2/rerank", "/rerank", "/v1/rank", "/score", "/infinity/rerank"} <= seen
