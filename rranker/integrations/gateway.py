"""LLM gateways: which model should answer, by what it is and what it costs. Needs no package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ..api import rank
from ..prompts import ROUTING_INSTRUCTIONS
from ..ranker import Ranker
from ..real import real_number
from ..types import Ranking

Messages = Sequence[Mapping[str, Any]]
_COSTS = ("input_cost_per_token", "output_cost_per_token")


def route(
    query: str | Messages,
    models: Iterable[Mapping[str, Any]],
    *,
    prefer: Literal["performance", "balance", "cost"] | str = "balance",
    ranker: Ranker | None = None,
) -> Ranking:
    """Ranks language models for a query: `route(…)[0].id` should answer it.

    Args:
        query: a question, or the messages of a chat, as OpenAI's API has them; their texts count, not the system's.
        models: of each its `name`, a `description`, and what it costs in dollars, `input_cost_per_token` and
            `output_cost_per_token`, as in `litellm.model_cost`; other keys are metadata.
        prefer: one of `ROUTING_INSTRUCTIONS`, or an instruction of your own.
        ranker: None is the bundled model, kept loaded.

    Raises ValueError for a model without a name or for messages without text, TypeError or ValueError for a cost that
    is no number from 0, and what `Ranker.rank` raises.
    """
    instruction = ROUTING_INSTRUCTIONS.get(prefer, prefer)
    candidates = list(map(_candidate, models))
    ranked = rank if ranker is None else ranker.rank
    return ranked(_question(query), candidates, template="routing", instruction=instruction)


def _candidate(model: Mapping[str, Any]) -> dict[str, Any]:
    if not model.get("name"):
        raise ValueError(f"a model needs a 'name': {dict(model)!r}")
    text = ": ".join(str(model[key]) for key in ("name", "description") if model.get(key))
    costs = [name for name in _COSTS if model.get(name) is not None]
    prices = [_dollars(real_number(model[name], f"{name} of {model['name']!r}", least=0)) for name in costs]
    if len(prices) == 2 and prices[0] != prices[1]:
        text += f". {prices[0]} in, {prices[1]} out per M tokens"
    elif prices:
        text += f". {prices[0]} per M tokens"
    known = {key: value for key, value in model.items() if key not in ("text", "id")}
    return {**known, "id": model["name"], "text": text}


def _dollars(cost: float) -> str:
    """Those of a million tokens, as the bundled model has read prices: $8, $0.80."""
    price = round(1e6 * cost, 6)
    return f"${price:.2f}" if price != round(price) and price == round(price, 2) else f"${price:g}"


def _question(query: str | Messages) -> str | list[str]:
    if isinstance(query, str):
        return query
    texts = [
        text
        for message in query
        if message.get("role") != "system"
        if (text := _text(message.get("content")))
    ]
    if not texts:
        raise ValueError("these messages have no text to choose a model by")
    return texts[0] if len(texts) == 1 else texts


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content.strip()
    return "\n".join(part["text"] for part in content or () if part.get("type") == "text").strip()
