"""What a chat endpoint answered, checked; and how probable it makes each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .remote.budget import Usage
from .remote.errors import MalformedError

_AROUND = " \t\n[](){}<>*_`\"'.:,"
"""What may stand around a label in its token: spaces, brackets, emphasis, a full stop."""

Alternatives = tuple[tuple[str, float], ...]
"""Tokens that could have stood in a place, and their log-probabilities."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer. `alternatives`: the most probable ones in its place."""

    text: str
    alternatives: Alternatives


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer. `refusal`: what it says instead of one; `cut`: it ran into the bound on its length.

    `tokens` is empty where the server gave no log-probabilities. `thought`: what a thinking model thought before, where
    the server tells.
    """

    text: str
    refusal: str | None
    cut: bool
    thought: str | None
    tokens: tuple[Token, ...]
    usage: Usage | None


def read_reply(completion: Any) -> ChatReply:
    """The first choice of a chat completion. Raises MalformedError for anything else."""
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise MalformedError(f"no choices in {shown(completion)}")
    choice = choices[0]
    message = getattr(choice, "message", None)
    content = getattr(message, "content", None)
    refusal, reason = getattr(message, "refusal", None), getattr(choice, "finish_reason", None)
    if isinstance(content, list):  # some servers answer in parts
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if message is None or not isinstance(content, str | None):
        raise MalformedError(f"no message in {shown(completion)}")
    if reason == "content_filter" and not content:
        refusal = refusal or "the server's content filter"
    thought = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    return ChatReply(
        content or "",
        str(refusal) if refusal and not content else None,
        reason == "length",
        thought if isinstance(thought, str) else None,
        _tokens(getattr(choice, "logprobs", None)),
        read_usage(completion),
    )


def shown(response: Any) -> str:
    """The beginning of a response, for an error."""
    text = " ".join(str(response).split())
    return repr(text if len(text) <= 200 else text[:200] + "…")


def label_logits(
    alternatives: Alternatives, labels: Sequence[str], *, exact: bool
) -> tuple[NDArray[np.float64], list[int]]:
    """[labels] log-probabilities, and the places of labels that are not among the alternatives.

    Tokens that write the same label (`B`, ` B`, `[B`) count together, unless it must be `exact`. Of a label that is not
    among them, no more is known than that it is less probable than any that is: it gets a little less than the least.
    """
    found = np.full(len(labels), -np.inf)
    at = {label: place for place, label in enumerate(labels)}
    for token, logp in alternatives:
        if (place := at.get(token if exact else token.strip(_AROUND))) is not None:
            found[place] = np.logaddexp(found[place], logp)
    missing = np.flatnonzero(np.isinf(found)).tolist()
    found[missing] = min((logp for _, logp in alternatives), default=0.0) - 1.0
    return found, missing


def place_of(tokens: Sequence[Token], label: str) -> int | None:
    """Where an answer says a label: the first token that writes it and nothing else."""
    return next((place for place, token in enumerate(tokens) if token.text.strip(_AROUND) == label), None)


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    content = getattr(logprobs, "content", None)
    if not isinstance(content, list):
        return ()
    tokens = []
    for entry in content:
        own = _pair(entry)
        if own is None:
            raise MalformedError(f"a token without its log-probability: {shown(entry)}")
        others = [_pair(other) for other in getattr(entry, "top_logprobs", None) or []]
        alternatives = tuple(pair for pair in others if pair is not None)
        tokens.append(Token(own[0], alternatives or (own,)))
    return tuple(tokens)


def _pair(entry: Any) -> tuple[str, float] | None:
    token, logp = getattr(entry, "token", None), getattr(entry, "logprob", None)
    if not isinstance(token, str) or isinstance(logp, bool) or not isinstance(logp, int | float):
        return None
    return (token, float(logp)) if isfinite(logp) else (token, -9999.0)  # the protocol's own "very unlikely"


def read_usage(response: Any) -> Usage | None:
    """What a response says that it took, if it does; numbers below 0 say nothing."""
    usage = _field(response, "usage")
    read, written = _field(usage, "prompt_tokens"), _field(usage, "completion_tokens")
    if not _is_count(read) or not (written is None or _is_count(written)):
        return None
    cached = _field(_field(usage, "prompt_tokens_details"), "cached_tokens")
    # Gateways that count cached tokens apart from those read may say more of them.
    return Usage(0, read, min(cached, read) if _is_count(cached) else 0, written or 0)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _field(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)
