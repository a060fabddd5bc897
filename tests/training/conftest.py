"""Tiny models and hand-made cases: nothing here needs the data folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rranker.data import RankingExample
from rranker.prompts.compact import CompactFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.example import Example
from rranker.training.policy.model_config import ModelConfig
from rranker.training.sft.tokenizer import train_tokenizer

_TEXT = "red green blue fox dog cat river stone quick slow tall bright 1995 (II) l'été naïve über straße"
WORDS = _TEXT.split()


def make_example(rng: np.random.Generator, n: int, task: str = "passage") -> Example:
    return Example(make_case(rng, n, task), rng.normal(size=n), 0.5)


def make_case(rng: np.random.Generator, n: int, task: str = "passage") -> RankingExample:
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 7))) for _ in range(n)]
    query = " ".join(rng.choice(WORDS, size=rng.integers(1, 9)))
    relevance = [0.0] * n
    relevance[int(rng.integers(n))] = 1.0
    return RankingExample(
        task, [query, query] if task == "recommendation" else query, None, texts, relevance, query
    )


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return train_tokenizer([" ".join(WORDS)] * 20, 320)


@pytest.fixture(scope="session")
def prompt_format(tokenizer: Any) -> CompactFormat:
    return CompactFormat(TextEncoder(tokenizer))


@pytest.fixture
def tiny() -> ModelConfig:
    return ModelConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
