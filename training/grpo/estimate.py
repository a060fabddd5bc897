"""`--dry-run`: what a run would take, before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rranker.data import RankingExample
from rranker.engine.hardware import best_device
from rranker.engine.loading.checkpoint import read_config
from rranker.engine.loading.settings import ModelSettings
from rranker.methods import method_class
from rranker.training.grpo.arguments import PolicyArguments, RolloutArguments
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.data import optimiser_steps


def parameters(config: Any) -> int:
    """Exact, from the configuration alone: the model is built without memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())


def matmul_flops(device: torch.device, dtype: torch.dtype, size: int = 1024, seconds: float = 0.5) -> float:
    """Multiply-add operations a second that this device reaches on square products, counted twice each."""
    a = torch.ones(size, size, device=device, dtype=dtype)
    (a @ a).sum().item()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        (a @ a).sum().item()
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - began)


def estimate(
    policy: PolicyArguments,
    rollout: RolloutArguments,
    config: GrpoConfig,
    cases: Mapping[str, RankingExample],
    lengths: tuple[float, float] | None,
) -> dict[str, Any]:
    """Steps, tokens, bytes and hours. `lengths`: tokens of a (prompt, question); None: the limits of the settings.

    Time assumes half of the matrix speed this machine shows; memory counts weights, gradients, AdamW's two
    moments (fp32), the reference, and kept activations of one micro-batch (34 D bytes a token and layer in
    bf16, arXiv 2205.05198, without the quadratic part; one layer's worth under checkpointing).
    """
    if policy.shape and not Path(policy.model).is_dir():
        source = Path(policy.shape)
        if not source.is_file():
            raise FileNotFoundError(f"the shape {source} is not there: give the config.json of a model")
        shape = AutoConfig.from_pretrained(source)
    else:
        source = Path(policy.model)
        shape = read_config(policy.model)
    settings = ModelSettings.read(getattr(shape, "rranker", None), source)
    weights = parameters(shape)
    checkpointed = bool(config.activation_checkpointing)
    prompts = config.per_device_train_batch_size // config.num_generations
    if policy.policy == "text":
        prompt, response = (
            float(rollout.max_prompt_tokens or 1400),
            float(config.max_completion_length or 0),
        )
        scored = generated = config.per_device_train_batch_size * (prompt + response)
    else:
        sizes = [len(case.candidates) for case in cases.values()]
        rounds = (
            1.0
            if rollout.episodes == "single" or method_class(rollout.method).one_question
            else float(np.mean(sizes)) - 1
        )
        prompt, question = lengths or (float(rollout.max_prompt_tokens or 1024), 1.0)
        # A question that all rollouts share is asked once.
        copies = question if rounds == 1 else config.num_generations * rounds * question
        if settings.attention == "causal" and rounds > 1:
            copies += config.num_generations * prompt * rounds / 4  # tails encoded anew after a random loser
        scored = generated = prompts * (prompt + copies)
    passes = 2 * generated + (6 + 2 * checkpointed + 2 * bool(config.beta)) * scored
    device = torch.device("cpu") if config.use_cpu else best_device()
    dtype = torch.bfloat16 if config.bf16 else torch.float32
    speed = matmul_flops(device, dtype)
    steps = optimiser_steps(len(cases), config)
    layers = shape.num_hidden_layers
    kept = 34 * (1 if config.bf16 else 2) * shape.hidden_size * (1 if checkpointed else layers) * scored
    trained = weights if not policy.lora_rank else 4 * policy.lora_rank * shape.hidden_size * 7 * layers
    each = 2 if config.bf16 and policy.lora_rank else 4
    memory = (
        weights * each + trained * 12 + (weights * 2 if config.beta and not policy.lora_rank else 0) + kept
    )
    return {
        "parameters": weights,
        "steps": steps,
        "prompts a step": prompts,
        "rollouts a step": config.per_device_train_batch_size,
        "tokens a step (scored)": round(scored),
        "tokens in all": round(scored * steps * config.gradient_accumulation_steps),
        "memory (GiB)": round(memory / 2**30, 2),
        "matrix speed here (TFLOP/s)": round(speed / 1e12, 3),
        "time on this machine (hours)": round(
            passes * weights * steps * config.gradient_accumulation_steps / (speed / 2) / 3600, 2
        ),
    }
