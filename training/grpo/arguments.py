"""What `python -m training.grpo` takes: the ranking side here, everything else from TRL's `GRPOConfig`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from trl import GRPOConfig

from rranker.engine.hardware import best_device, best_dtype, warn_if_emulated
from rranker.methods import method_names


def _choice(default: str, known: tuple[str, ...], help: str) -> Any:
    return field(default=default, metadata={"help": help, "choices": list(known)})


def _text(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class GrpoArguments:
    """Policy, method, rewards and data. Every field is a YAML key and a command-line option."""

    model: str = _text("rranker/assets/default", "checkpoint folder to start from, and the KL's reference")
    shape: str | None = _text(None, "a config.json for `--dry-run` when the checkpoint is not here")
    policy: str = _choice(
        "logits",
        ("logits", "text"),
        "`logits`: decisions by the engine; `text`: a generated thought and answer",
    )
    method: str = _choice(
        "iranker",
        method_names(),
        "eliminate the worst or select the best round after round, or rank in one shot",
    )
    episodes: str = _choice(
        "full",
        ("full", "single"),
        "`full`: to the end; `single`: one decision on a list of any size, gold in it",
    )
    reward: str = _choice(
        "graded",
        ("stepwise", "graded", "outcome"),
        "`stepwise`: +1 a worse one excluded, 0 a best one, -0.5 nobody; `graded`: change in reachable NDCG; "
        "`outcome`: final NDCG",
    )
    relevance: str = _choice(
        "graded", ("graded", "best"), "what rewards see: all grades, or only who is best (as MRR does)"
    )
    gamma: float = _text(1.0, "discount of later decisions' rewards; 0 makes each decision answer for itself")
    format_weight: float = _text(0.5, "weight of the format reward, for `--policy text`")
    ndcg_cutoff: int = _text(20, "k of the rewards' NDCG@k")
    tasks: list[str] = field(
        default_factory=lambda: ["rec-movie", "rec-music", "rec-game"],
        metadata={"help": "the mixture, as name=weight (weight 1 when left out); see training/grpo/data.py"},
    )
    cases: int = _text(20000, "training cases drawn for the whole mixture")
    sampler: str = _choice("mixed", ("mixed", "uniform", "popular"), "negatives of recommendation lists")
    early: bool = _text(
        True, "histories end within a user's first 40 items, as the tasks' do; else anywhere in them"
    )
    history: int = _text(20, "longest history of a training case, in items")
    max_prompt_tokens: int | None = _text(
        None, "positions a training prompt may take; longer ones are left out"
    )
    max_candidate_tokens: int | None = _text(None, "longest training candidate; longer ones are cut")
    slots: int = _text(65536, "KV tokens of the rollout engine, over all queries in flight")
    eval_tasks: list[str] = field(
        default_factory=list,
        metadata={"help": "tasks whose held-out MRR evaluation reports (default: `tasks`)"},
    )
    eval_split: str = _choice(
        "validation",
        ("validation", "test"),
        "`validation`: a tenth of the training users and queries, never trained on here: choose by it; `test`: "
        "the tables' cases, to be looked at only",
    )
    eval_cases: int = _text(200, "cases per evaluated task, at most")
    patience: int = _text(0, "stop after this many evaluations without a better MRR; 0: never")
    lora_rank: int = _text(0, "train adapters of this rank (peft) in place of all weights; 0: all weights")
    resume: bool = _text(False, "go on from the last complete checkpoint of output_dir, if there is one")
    dry_run: bool = _text(False, "print steps, tokens, memory and time estimates, and stop")

    def weights(self) -> dict[str, float]:
        """Task → share of the mixture. Raises ValueError for a malformed entry."""
        found = {}
        for entry in self.tasks:
            name, _, weight = entry.partition("=")
            found[name] = float(weight or 1)
        if not found or min(found.values()) <= 0:
            raise ValueError(f"task weights must be positive: {self.tasks}")
        return {name: weight / sum(found.values()) for name, weight in found.items()}


@dataclass
class GrpoConfig(GRPOConfig):
    """TRL's settings with defaults for rankings: small models, short episodes, local logs."""

    output_dir: str | None = _text("runs/grpo", "checkpoints, logs, the report and `final`")
    per_device_train_batch_size: int = _text(128, "rollouts a step and process")
    num_generations: int = _text(16, "rollouts a prompt (G)")
    learning_rate: float = _text(1e-4, "peak of AdamW's rate")
    max_steps: int = _text(200, "optimiser steps")
    logging_steps: float = _text(1, "steps between log rows")
    save_steps: float = _text(50, "steps between checkpoints")
    save_total_limit: int | None = _text(2, "checkpoints kept; at least 2, or a kill could leave none")
    eval_strategy: str = _text("steps", "when to evaluate: `steps`, `epoch` or `no`")
    eval_steps: float | None = _text(25, "steps between evaluations")
    eval_on_start: bool = _text(True, "evaluate the start too, so that the curve has its origin")
    report_to: list[str] = field(default_factory=lambda: ["tensorboard"], metadata={"help": "log writers"})
    use_cpu: bool = _text(False, "train on the CPU, even where there is a GPU")
    bf16: bool | None = _text(
        None,
        "autocast to bfloat16; left out: where the hardware multiplies it, on a CPU when there is no GPU",
    )
    remove_unused_columns: bool | None = _text(False, "drop columns the model does not take")

    def __post_init__(self) -> None:
        self.per_device_eval_batch_size = self.num_generations  # TRL checks it; evaluation here is our own
        self._choose_precision()
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.save_total_limit is not None and self.save_total_limit < 2:
            raise ValueError(
                "save_total_limit must be at least 2: a kill while one is written must leave another"
            )
        assert self.steps_per_generation is not None  # TRL has set it
        every = self.steps_per_generation * self.num_iterations / self.gradient_accumulation_steps
        if self.save_strategy != "no" and every > 1 and self.save_steps % every:
            raise ValueError(
                f"save_steps must be a multiple of {every:g}, the steps that share their rollouts: a run can resume "
                "only where new rollouts begin"
            )

    def _choose_precision(self) -> None:
        """Left out, `bf16` follows the hardware. TRL's own default is to ask for it everywhere."""
        on_cpu = self.use_cpu or not torch.accelerator.is_available()
        device = torch.device("cpu") if on_cpu else best_device()
        if self.bf16 is None:
            self.use_cpu = on_cpu  # where it would run anyway; asked for by name, bf16 is taken on a CPU
            self.bf16 = not self.fp16 and best_dtype(device) == torch.bfloat16
        elif self.bf16:
            warn_if_emulated(device, torch.bfloat16, "bf16")
