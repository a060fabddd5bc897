"""Everything a supervised run depends on, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


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


@dataclass(frozen=True)
class SftConfig:
    """`weights` is how often a micro-batch comes from each source; tokens are what it holds at most."""

    model: ModelConfig = field(default_factory=ModelConfig)
    weights: dict[str, float] = field(
        default_factory=lambda: {
            "movies": 0.14,
            "music": 0.11,
            "games": 0.17,
            "routing": 0.08,
            "cloze": 0.24,
            "squad": 0.12,
            "trecdl": 0.10,
            "classic": 0.04,
        }
    )
    tokens: int = 3072
    accumulate: int = 2
    steps: int = 2000
    warmup: int = 40
    lr: float = 1e-3
    final_lr: float = 0.03
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    lm_weight: float = 0.1
    lm_share: float = 0.1
    precision: str = "bf16"
    optimizer: str = "muon"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.precision not in ("bf16", "fp32"):
            raise ValueError(f"precision is 'bf16' or 'fp32', not {self.precision!r}")
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer is 'adamw' or 'muon', not {self.optimizer!r}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
