"""RouterBench: which of eleven language models should answer a query, under three trade-offs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rranker.prompts import ROUTING_INSTRUCTIONS

from .example import RankingExample, data_file
from .records import csv_rows

FILES = ("mbpp", "arc_challenge", "winograde")
ROUTING_WEIGHTS = {"performance": (1.0, 0.0), "balance": (0.5, 0.5), "cost": (0.2, 0.8)}
DESCRIPTIONS = {
    "WizardLM/WizardLM-13B-V1.2": (
        "WizardLM 13B V1.2: instruction-tuned Llama 2, general chat. $0.30 per M tokens"
    ),
    "claude-instant-v1": "Claude Instant v1: Anthropic's fast model. $0.80 in, $2.40 out per M tokens",
    "claude-v1": "Claude v1: Anthropic's first large model, careful reasoning. $8 in, $24 out per M tokens",
    "claude-v2": "Claude v2: Anthropic's large model, long documents. $8 in, $24 out per M tokens",
    "gpt-3.5-turbo-1106": "GPT-3.5 Turbo 1106: OpenAI's fast general model. $1 in, $2 out per M tokens",
    "gpt-4-1106-preview": (
        "GPT-4 Turbo 1106: OpenAI's strongest reasoning model. $10 in, $30 out per M tokens"
    ),
    "meta/code-llama-instruct-34b-chat": "Code Llama Instruct 34B: Meta's model for code. $0.78 per M tokens",
    "meta/llama-2-70b-chat": "Llama 2 70B Chat: Meta's large open chat model. $0.90 per M tokens",
    "mistralai/mistral-7b-chat": "Mistral 7B Chat: small, cheap open model. $0.20 per M tokens",
    "mistralai/mixtral-8x7b-chat": "Mixtral 8x7B Chat: open mixture of experts, strong. $0.60 per M tokens",
    "zero-one-ai/Yi-34B-Chat": "Yi 34B Chat: 01.AI's bilingual open model. $0.80 per M tokens",
}
"""What the ranker reads about each model, in this order; written for this project."""


@dataclass(frozen=True)
class RouterRow:
    """One query with every model's score and cost in dollars, in the order of `candidates`."""

    id: str
    query: str
    scores: tuple[float, ...]
    costs: tuple[float, ...]
    candidates: tuple[str, ...] = tuple(DESCRIPTIONS.values())


def routerbench(folder: str | Path | None = None) -> tuple[list[RouterRow], list[RouterRow]]:
    """(train, test) rows with all scores; test prompts that also stand in train are dropped."""
    train: list[RouterRow] = []
    test: list[RouterRow] = []
    for name in FILES:
        shots = ""
        for split, rows in (("train", train), ("test", test)):
            split_rows = _rows(data_file(f"router_routerbench/{name}_{split}.csv", folder))
            if split == "train" and name != "mbpp":
                shots = _constant_start([row.query for row in split_rows])
            rows += [
                RouterRow(r.id, r.query.removeprefix(shots).strip(), r.scores, r.costs) for r in split_rows
            ]
    seen = {row.query for row in train}
    return train, [row for row in test if row.query not in seen]


def _rows(path: Path) -> list[RouterRow]:
    return [row for row in csv_rows(path, _row) if row is not None]


def _row(row: Mapping[str, str]) -> RouterRow | None:
    """Nothing for a row that misses a score or a cost."""
    scores = [row[model] for model in DESCRIPTIONS]
    costs = [row[f"{model}|total_cost"] for model in DESCRIPTIONS]
    if not (all(scores) and all(costs)):
        return None
    prompt = "\n".join(ast.literal_eval(row["prompt"]))
    return RouterRow(row["sample_id"], prompt, tuple(map(float, scores)), tuple(map(float, costs)))


def _constant_start(prompts: list[str]) -> str:
    """The few-shot examples that open every prompt: the common start, cut back to a blank line."""
    first, last = min(prompts), max(prompts)
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = "".join(a for a, _ in pairs)
    return common[: common.rfind("\n\n") + 2] if "\n\n" in common else ""


def utilities(scores: ArrayLike, costs: ArrayLike, setting: str, max_train_cost: float) -> np.ndarray:
    """a·score − b·cost / max train cost, of any shape [..., models]."""
    a, b = ROUTING_WEIGHTS[setting]
    result: np.ndarray = a * np.asarray(scores) - b * np.asarray(costs) / max_train_cost
    return result


def routing_case(
    row: RouterRow, setting: str, max_train_cost: float, rng: np.random.Generator
) -> RankingExample:
    """The candidates' order is shuffled, so that it cannot say anything; equal utilities stay ties."""
    texts, values = row.candidates, utilities(row.scores, row.costs, setting, max_train_cost)
    order = rng.permutation(len(texts))
    return RankingExample(
        task="routing",
        query=row.query,
        instruction=ROUTING_INSTRUCTIONS[setting],
        candidates=[texts[i] for i in order],
        relevance=[float(values[i]) for i in order],
        id=f"{setting}-{row.id}",
    )


def routing_cases(
    rows: list[RouterRow], setting: str, max_train_cost: float, seed: int = 0
) -> list[RankingExample]:
    """A case a row, each shuffled by a seed of its own."""
    return [
        routing_case(row, setting, max_train_cost, np.random.default_rng([seed, i]))
        for i, row in enumerate(rows)
    ]


def max_cost(train: list[RouterRow]) -> float:
    """The dearest answer of the training rows, by which costs are scaled."""
    return max(cost for row in train for cost in row.costs)
