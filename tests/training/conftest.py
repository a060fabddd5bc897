"""Tiny models and hand-made cases: nothing here needs the data folder."""

from __future__ import annotations

from typing import Any

import pytest

from rranker.prompts.compact import CompactFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.policy.model_config import ModelConfig
from rranker.training.sft.tokenizer import train_tokenizer
from tests.support.toy_examples import WORDS


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
