"""Everything a supervised run depends on, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, get_args

import torch

from rranker.engine.hardware import best_device, best_dtype
from rranker.engine.loading.settings import AttentionMode
from rranker.methods import method_class
from rranker.training.examples.sources import OWN, SOURCES
from rranker.training.options import SAVE_DTYPES
from rranker.training.policy.model_config import ModelConfig


def best_precision(device: torch.device | None = None) -> str:
    """`bf16` where `device` (default: the best there is) multiplies bfloat16, else `fp32`."""
    return "bf16" if best_dtype(device or best_device()) == torch.bfloat16 else "fp32"


@dataclass(frozen=True)
class SftConfig:
    """`weights` is how often a micro-batch comes from each source; tokens are what it holds at most.

    `uniform` is the share of recommendation lists whose negatives are drawn uniformly over the catalogue; the
    others' are drawn by popularity. `precision` is that of the layers, chosen by the hardware: `bf16` or `fp32`
    (updates are fp32 either way), and `save_dtype`, by its name in torch, that of the model that is saved; None saves
    it as it was trained. `early` is the share of histories that end within a user's first 40 items, as
    the tasks' do; the others end anywhere. `start` is the folder of the ranking model to start from, None
    for a new one of the shape `model`. `teacher` is an encoder's checkpoint that says how alike a query and a passage
    are; None leaves that to BM25. `collections` are those the source `questions` draws from, None for all.
    `data` are files of one's own, which the source `own` draws from; a tenth of them is held out, or `validation` is.
    `anchor` is the share of what is wanted of passages that `start` itself says, in the teacher's place.
    `method` and `lora_rank` are for a language model without a pointer head: the ranking method it
    learns to play, and the rank of the adapters that learn (0: all weights do).
    """

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
    uniform: float = 0.5
    early: float = 0.0
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
    attention: AttentionMode = "block"
    precision: str = field(default_factory=best_precision)
    optimizer: str = "muon"
    seed: int = 0
    start: str | None = None
    teacher: str | None = None
    collections: list[str] | None = None
    data: list[str] | None = None
    validation: str | None = None
    method: str = "iranker"
    lora_rank: int = 0
    anchor: float = 0.0
    save_dtype: str | None = None

    def __post_init__(self) -> None:
        if self.attention not in get_args(AttentionMode):
            raise ValueError(f"attention is 'block' or 'causal', not {self.attention!r}")
        if self.precision not in ("bf16", "fp32"):
            raise ValueError(f"precision is 'bf16' or 'fp32', not {self.precision!r}")
        if self.save_dtype not in (None, *SAVE_DTYPES):
            raise ValueError(f"save_dtype is one of {', '.join(SAVE_DTYPES)}, not {self.save_dtype!r}")
        if type(self.lora_rank) is not int or self.lora_rank < 0:
            raise ValueError(f"lora_rank must be a whole number of at least 0, not {self.lora_rank!r}")
        method_class(self.method)
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer is 'adamw' or 'muon', not {self.optimizer!r}")
        unknown = set(self.weights) - {*SOURCES, OWN}
        if unknown or min(self.weights.values()) < 0 or not sum(self.weights.values()):
            raise ValueError(
                f"weights are shares of {', '.join([*SOURCES, OWN])}, none negative: {self.weights}"
            )
        if bool(self.data) != (OWN in self.weights):
            raise ValueError(
                f"files of one's own (--data) and a weight for them ({OWN}=1) go together: "
                f"data {self.data}, weights {self.weights}"
            )
        if self.validation and not self.data:
            raise ValueError(
                f"a file to measure one's own data by needs them (--data): leave --validation {self.validation} out"
            )
        if not 0 <= self.anchor < 1 or (self.anchor and self.start is None):
            raise ValueError(
                "anchor is the share of what is wanted of passages that `start` says: from 0 to less than 1, and 0 "
                f"without a start, not {self.anchor}"
            )
        if self.data and self.start is None:
            raise ValueError("data of one's own train a model that there is: name it as `start`")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they are saved beside a run."""
        return asdict(self)
