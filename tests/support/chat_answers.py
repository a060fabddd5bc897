"""A stand-in for a remote model that knows what everything is worth."""

from __future__ import annotations

import math
import re

from tests.support.chat_server import Body, Fault, completion

VALUES = {
    text: worth for worth, text in enumerate(["tin", "lead", "iron", "bronze", "silver", "gold"], start=1)
}


def listed(body: Body) -> dict[str, int]:
    """What each label of the question is worth."""
    lines = re.findall(r"^\[(\w+)\] (.+)$", body["messages"][0]["content"], re.MULTILINE)
    return {label: VALUES[text] for label, text in lines}


def honest(path: str, body: Body) -> Body | Fault:
    """The right answer: in words, or a letter with the log-probabilities of all letters where they are asked for."""
    worth, content = listed(body), body["messages"][0]["content"]
    best_first = sorted(worth, key=lambda label: -worth[label])
    if "Rank all" in content:
        return completion(" > ".join(f"[{label}]" for label in best_first))
    sign = -1 if "least" in content else 1
    said = best_first[-1] if sign < 0 else best_first[0]
    if not body.get("logprobs"):
        return completion(f"I name [{said}].")
    total = math.log(sum(math.exp(sign * value) for value in worth.values()))
    alternatives = {label: sign * value - total for label, value in worth.items()}
    return completion(said, tokens=[(said, alternatives)], usage=(100, 1, 40))


def wordy(path: str, body: Body) -> Body | Fault:
    """As `honest`, from an endpoint that gives no log-probabilities."""
    return honest(path, {**body, "logprobs": False})
