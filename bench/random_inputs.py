"""Random weights and random prompts, for benchmarks of time alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rranker.prompts import Segments

CPU = torch.device("cpu")
FIRST_ID = 16
"""The least id in a prompt: those before it are left to special tokens. The candidates' identifiers begin here, too."""


def random_lm(config: Any, *, dtype: torch.dtype = torch.float32, on: torch.device = CPU) -> Any:
    """A causal language model of a transformers config, frozen."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    with on:
        lm = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return lm.eval().requires_grad_(False)


def random_qwen2(
    vocabulary: int, hidden: int, intermediate: int, layers: int, heads: tuple[int, int], **placed: Any
) -> Any:
    """A Qwen2 of this shape, with so many heads of queries and of keys; `placed` is as for `random_lm`."""
    from transformers import Qwen2Config

    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads[0],
        num_key_value_heads=heads[1],
        tie_word_embeddings=True,
    )
    return random_lm(config, **placed)


def random_cross_encoder(vocabulary: int, dtype: torch.dtype) -> Any:
    """A cross-encoder of MiniLM-L6's shape."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=1,
    )
    torch.manual_seed(0)
    return BertForSequenceClassification(config).eval().to(dtype)


def random_segments(
    rng: np.random.Generator, vocabulary: int, n: int, length: int, prefix: int, suffix: int
) -> Segments:
    """`n` candidates of `length` tokens each, between a prefix and a suffix."""

    def ids(count: int) -> tuple[int, ...]:
        return tuple(rng.integers(FIRST_ID, vocabulary, size=count).tolist())

    identifiers = tuple(range(FIRST_ID, FIRST_ID + n))
    return Segments(ids(prefix), tuple(ids(length) for _ in range(n)), ids(suffix), identifiers)
