"""Which settings make a run what it is, and which of them a policy does not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LENGTH_AND_RECORDS = """
max_steps num_train_epochs eval_ per_device_eval_ num_generations_eval batch_eval_metrics prediction_loss_only
metric_for_best_model greater_is_better load_best_model_at_end label_names logging_ log_ report_to run_name project
trackio_ disable_tqdm include_ debug skip_memory_metrics num_completions_to_print output_dir save_ hub_ push_to_hub
resume_from_checkpoint restore_callback_states enable_jit_checkpoint do_
"""
_HARDWARE = """
use_cpu bf16 fp16 tf32 gradient_checkpointing activation_checkpointing use_cache torch_compile torch_empty_cache_steps
use_liger_kernel liger_kernel_config full_determinism dataloader_ remove_unused_columns ddp_ ds3_ fsdp deepspeed
local_rank accelerator_config parallelism_config vllm_server_ vllm_group_port vllm_gpu_ vllm_enable_sleep_mode
vllm_tensor_parallel_size
"""
_FREE = (*_LENGTH_AND_RECORDS.split(), *_HARDWARE.split())
"""How the names of TRL's settings begin that a resumed run may change. All others decide what a step does."""

_UNREAD = {
    # TRL's ways to draw tokens: decisions are drawn by the engine, by their temperature alone. None ends a text, and
    # their advantages are our own.
    "logits": (
        *("format_weight", "top_p", "top_k", "min_p", "repetition_penalty", "generation_kwargs"),
        *("cache_implementation", "use_vllm", "use_transformers_continuous_batching"),
        *("mask_truncated_completions", "multi_objective_aggregation"),
    ),
    "text": ("max_candidate_tokens", "reward", "relevance", "gamma", "patience"),
}
"""Policy → options that only the other one reads."""
_NEITHER = {
    "chat_template_kwargs": "prompts have templates of their own",
    "reward_weights": "rewards are weighed by --format_weight, of texts",
    "sync_ref_model": "no checkpoint would keep the reference that moved",
    "resume_from_checkpoint": "--resume true goes on from the last checkpoint of --output_dir",
}
"""Options of TRL's that no policy reads, and what stands in their place."""


def deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of TRL's settings decides a run: all but what `_FREE` names."""
    return {name: value for name, value in config.items() if not name.startswith(_FREE)}


def refuse_unread(policy: str, given: Mapping[str, Any], standard: Mapping[str, Any]) -> None:
    """Raises ValueError, naming them, when options are `given` that this policy does not read.

    `standard`: their defaults, which may be given. `stepwise` says what a text earns anyhow, so it may be said.
    """
    for name, instead in _NEITHER.items():
        if given[name] != standard[name]:
            raise ValueError(f"--{name} {given[name]} is not read here: {instead}. Leave it out")
    refused = [
        f"--{name} {given[name]}"
        for name in _UNREAD[policy]
        if given[name] != standard[name] and (name, given[name]) != ("reward", "stepwise")
    ]
    if refused:
        (other,) = _UNREAD.keys() - {policy}
        raise ValueError(
            f"--policy {policy} does not read {', '.join(refused)}: leave that out, or give --policy {other}"
        )
