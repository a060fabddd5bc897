"""Low-rank adapters in place of all weights."""

from __future__ import annotations

from typing import Any


def adapters(rank: int, full_module: str | None = None) -> Any:
    """peft's configuration of this rank, or None (rank 0) to train all weights.

    The module of the name `full_module` is trained whole, beside the low-rank matrices.
    """
    if not rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        modules_to_save=None if full_module is None else [full_module],
        task_type="CAUSAL_LM",
    )
