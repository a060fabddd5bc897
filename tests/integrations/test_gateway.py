"""Routing: what the model reads about models and messages."""

from __future__ import annotations

from typing import Any

import pytest

from rranker.data.routing import DESCRIPTIONS
from rranker.integrations.gateway import route
from rranker.prompts import ROUTING_INSTRUCTIONS

CHEAP = {"name": "Mistral 7B Chat", "description": "small, cheap open model", "input_cost_per_token": 2e-7}
DEAR = {
    "name": "GPT-4 Turbo 1106",
    "description": "OpenAI's strongest reasoning model",
    "input_cost_per_token": 1e-5,
    "output_cost_per_token": 3e-5,
    "max_tokens": 4096,
}
FAST = {
    "name": "Claude Instant v1",
    "description": "Anthropic's fast model",
    "input_cost_per_token": 8e-7,
    "output_cost_per_token": 2.4e-6,
}
QUESTION = "Write a Python function that returns the longest palindrome in a string, with tests."


def test_models_are_described_as_the_bundled_model_learned_them(ranker: Any) -> None:
    ranking = route(QUESTION, [CHEAP, DEAR, FAST], ranker=ranker)
    assert {item.text for item in ranking} <= set(DESCRIPTIONS.values())
    assert {item.id for item in ranking} == {"Mistral 7B Chat", "GPT-4 Turbo 1106", "Claude Instant v1"}
    assert next(item.metadata["max_tokens"] for item in ranking if item.id == DEAR["name"]) == 4096


def test_what_counts_decides(ranker: Any) -> None:
    assert route(QUESTION, [CHEAP, DEAR], ranker=ranker, prefer="performance")[0].id == DEAR["name"]
    assert route(QUESTION, [CHEAP, DEAR], ranker=ranker, prefer="cost")[0].id == CHEAP["name"]
    own = route(QUESTION, [CHEAP, DEAR], ranker=ranker, prefer=ROUTING_INSTRUCTIONS["cost"])
    assert own == route(QUESTION, [CHEAP, DEAR], ranker=ranker, prefer="cost")


def test_a_chat_is_routed_by_its_texts(ranker: Any) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "…"}}, {"type": "text", "text": QUESTION}]
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": parts}]
    assert route(chat, [CHEAP, DEAR, FAST], ranker=ranker) == route(
        QUESTION, [CHEAP, DEAR, FAST], ranker=ranker
    )
    longer = [*chat, {"role": "assistant", "content": None}, {"role": "user", "content": "Shorter, please."}]
    assert len(route(longer, [CHEAP, DEAR], ranker=ranker)) == 2


def test_what_is_missing_is_named(ranker: Any) -> None:
    with pytest.raises(ValueError, match="a model needs a 'name'"):
        route(QUESTION, [{"description": "nameless"}], ranker=ranker)
    for cost, error in (("1e-6", TypeError), (float("nan"), ValueError), (-1e-6, ValueError)):
        wrong = f"input_cost_per_token of 'Mistral 7B Chat' must be a number from 0, not {cost!r}"
        with pytest.raises(error, match=wrong):
            route(QUESTION, [{**CHEAP, "input_cost_per_token": cost}], ranker=ranker)
    with pytest.raises(ValueError, match="no text to choose a model by"):
        route([{"role": "system", "content": "Be kind."}], [CHEAP], ranker=ranker)


def test_prices_as_litellm_knows_them(ranker: Any) -> None:
    litellm = pytest.importorskip("litellm", reason="needs LiteLLM: pip install litellm")
    names = ["gpt-4o", "gpt-4o-mini"]
    models = [{"name": name, "description": "general", **litellm.model_cost[name]} for name in names]
    for item in route(QUESTION, models, ranker=ranker):
        dollars = litellm.model_cost[item.id]["input_cost_per_token"] * 1e6
        assert f"${dollars:g}" in item.text or f"${dollars:.2f}" in item.text
