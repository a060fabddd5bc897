"""The shape of the small ranking model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """A small Llama: no biases and no query-key norm, because every operator counts at this size."""

    vocab_size: int = 8192
    hidden_size: int = 256
    intermediate_size: int = 704
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    max_position_embeddings: int = 4096
    rope_theta: float = 100000.0

    @classmethod
    def of_width(cls, hidden: int, layers: int, vocab_size: int) -> ModelConfig:
        """The default's proportions: heads of 64, half as many for keys and values, 2.75 times as wide inside."""
        if hidden < 64 or hidden % 64:
            raise ValueError(f"the hidden size must be a multiple of 64, not {hidden}")
        return cls(
            vocab_size=vocab_size,
            hidden_size=hidden,
            intermediate_size=hidden * 11 // 4,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            num_key_value_heads=max(1, hidden // 128),
        )
