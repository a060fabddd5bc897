"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) in place of all weights."""

from __future__ import annotations

from typing import Any


def adapters(lm: Any, rank: int, full_module: str | None = None) -> Any:
    """peft's configuration of this rank for `lm`, or None (rank 0) to train all weights.

    Raises as `with_adapters` does. The module of the name `full_module` is trained whole, beside the low-rank matrices.
    """
    if not rank:
        return None
    return _peft().LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        modules_to_save=None if full_module is None else [full_module],
        # peft's wrapper of that name looks for methods of generation, which an encoder has none of.
        task_type="CAUSAL_LM" if hasattr(lm, "prepare_inputs_for_generation") else None,
    )


def with_adapters(lm: Any, rank: int) -> Any:
    """`lm` with adapters of this rank, which alone learn. Raises ImportError, naming the extra, without peft."""
    return _peft().get_peft_model(lm, adapters(lm, rank))


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise ImportError("training adapters (lora_rank) needs peft: pip install 'rranker[train]'") from error
    return peft
