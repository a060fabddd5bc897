"""Tiny random models of real architectures, and a tokenizer that needs no download."""

from __future__ import annotations

from typing import Any

import torch
import transformers as t

VOCAB = 320
SIZE = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}

CONFIGS = {
    "llama": lambda: t.LlamaConfig(**SIZE),
    "qwen2": lambda: t.Qwen2Config(**SIZE),
    "qwen3": lambda: t.Qwen3Config(**SIZE, head_dim=16),
    "mistral": lambda: t.MistralConfig(**SIZE, head_dim=12, sliding_window=None),
    "phi3": lambda: t.Phi3Config(**SIZE),
    "olmo2": lambda: t.Olmo2Config(**SIZE),
    "granite": lambda: t.GraniteConfig(
        **SIZE,
        logits_scaling=3.0,
        attention_multiplier=0.2,
        residual_multiplier=0.5,
        embedding_multiplier=6.0,
    ),
    "smollm3": lambda: t.SmolLM3Config(**SIZE, no_rope_layers=[1, 0, 1]),
    "gemma": lambda: t.GemmaConfig(**SIZE, head_dim=16),
    "gemma3": lambda: t.Gemma3TextConfig(
        **SIZE,
        head_dim=16,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        sliding_window=512,
    ),
    "mixtral": lambda: t.MixtralConfig(
        **SIZE, head_dim=12, num_local_experts=4, num_experts_per_tok=2, sliding_window=None
    ),
    "qwen3-moe": lambda: t.Qwen3MoeConfig(
        **SIZE,
        head_dim=16,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=32,
        norm_topk_prob=True,
    ),
}


def tiny_model(name: str, seed: int = 0, **changes: Any) -> Any:
    """Random weights, fp32. The spread is wide enough that attention and verdicts differ from case to case."""
    return randomized(CONFIGS[name](), seed, **changes)


def randomized(config: Any, seed: int = 0, kind: Any = t.AutoModelForCausalLM, **changes: Any) -> Any:
    """See `tiny_model`; of any config, as a model of this kind."""
    for key, value in changes.items():
        setattr(config, key, value)
    torch.manual_seed(seed)
    return spread(kind.from_config(config, dtype=torch.float32)).eval()


def spread(model: Any) -> Any:
    """The model with its weights drawn wide."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.25)
    return model
