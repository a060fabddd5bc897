"""What `python -m training.grpo` takes: the ranking side here, everything else from TRL's `GRPOConfig`.

Every field is a command-line option and a YAML key.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from trl import GRPOConfig

from rranker.engine.hardware import best_device, best_dtype, warn_if_emulated
from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.training.options import TRAINABLE, option, parse_options

INTERACTION_TASKS = ["rec-movie", "rec-music", "rec-game"]
FIXED = (
    "seed",
    "learning_rate",
    "temperature",
    "beta",
    "loss_type",
    "scale_rewards",
    "num_generations",
    "num_iterations",
)
"""TRL's settings that a resumed run must have as it began."""
OWN = "own"
"""The task that is made of a user's own files."""


@dataclass
class PolicyArguments:
    """What is trained, and how much of it."""

    model: str = option(
        str(DEFAULT_MODEL), "checkpoint to start from (default: the bundled one), and the KL's reference"
    )
    shape: str | None = option(None, "a config.json for `--dry-run` when the checkpoint is not here")
    policy: str = option(
        "logits",
        "`logits`: decisions by the engine; `text`: a generated thought and answer",
        ("logits", "text"),
    )
    lora_rank: int = option(0, "train adapters of this rank (peft) in place of all weights; 0: all weights")


@dataclass
class DataArguments:
    """What is learnt from."""

    tasks: list[str] = option(
        [],
        "the mixture, as name=weight (weight 1 when left out); see training/grpo/data.py (default: rec-movie, "
        "rec-music and rec-game, or `own` alone with --data)",
    )
    data: list[str] = option([], "files of your own, .jsonl or .parquet: the task `own`")
    validation: str | None = option(
        None,
        "a file like those of --data to evaluate `own` on (default: a tenth of their queries is held out)",
    )
    cases: int = option(20000, "training cases drawn for the whole mixture")
    sampler: str = option("mixed", "negatives of recommendation lists", ("mixed", "uniform", "popular"))
    early: bool = option(
        True, "histories end within a user's first 40 items, as the tasks' do; else anywhere in them"
    )
    history: int = option(20, "longest history of a training case, in items")

    def weights(self) -> dict[str, float]:
        """Task → share of the mixture. Raises ValueError for a malformed entry, and `own` with no --data or unasked."""
        weights = {}
        for entry in self.tasks or ([OWN] if self.data else INTERACTION_TASKS):
            name, _, weight = entry.partition("=")
            weights[name] = float(weight or 1)
        if bool(self.data) != (OWN in weights):
            raise ValueError(
                f"files of one's own (--data) and the task `{OWN}` go together: data {self.data}, tasks {self.tasks}"
            )
        if not weights or min(weights.values()) <= 0:
            raise ValueError(f"task weights must be positive: {self.tasks}")
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}


@dataclass
class RolloutArguments:
    """How episodes are played."""

    method: str = option(
        "iranker",
        "eliminate the worst or select the best round after round, rank in one shot, or judge each alone",
        TRAINABLE,
    )
    episodes: str = option(
        "full",
        "`full`: to the end; `single`: one decision on a list of any size, gold in it",
        ("full", "single"),
    )
    max_prompt_tokens: int | None = option(
        None, "positions a training prompt may take; longer ones are left out"
    )
    max_candidate_tokens: int | None = option(None, "longest training candidate; longer ones are cut")
    slots: int = option(65536, "KV tokens of the rollout engine, over all queries in flight")


@dataclass
class RewardArguments:
    """What decisions earn."""

    reward: str = option(
        "graded",
        "`stepwise`: +1 a worse one excluded, 0 a best one, -0.5 nobody; `graded`: change in reachable NDCG; "
        "`outcome`: final NDCG",
        ("stepwise", "graded", "outcome"),
    )
    relevance: str = option(
        "graded",
        "what rewards see: relevance as it is, or only who is best (as MRR does)",
        ("graded", "best"),
    )
    gamma: float = option(
        1.0, "discount of later decisions' rewards; 0 makes each decision answer for itself"
    )
    format_weight: float = option(0.5, "weight of the format reward, for `--policy text`")
    ndcg_cutoff: int = option(20, "k of the rewards' NDCG@k")


@dataclass
class EvaluationArguments:
    """What is watched, and when it is enough."""

    eval_tasks: list[str] = option([], "tasks whose held-out MRR evaluation reports (default: `tasks`)")
    eval_split: str = option(
        "validation",
        "`validation`: a tenth of the training users and queries, never trained on here: choose by it; `test`: "
        "the tables' cases, to be looked at only",
        ("validation", "test"),
    )
    eval_cases: int = option(200, "cases per evaluated task, at most")
    patience: int = option(0, "stop after this many evaluations without a better MRR; 0: never")


@dataclass
class RunArguments:
    """Which part of a run is wanted."""

    resume: bool = option(False, "go on from the last complete checkpoint of output_dir, if there is one")
    dry_run: bool = option(False, "print steps, tokens, memory and time estimates, and stop")


@dataclass
class GrpoArguments:
    """The ranking side of a run, room by room: a function takes the part it needs."""

    policy: PolicyArguments = field(default_factory=PolicyArguments)
    data: DataArguments = field(default_factory=DataArguments)
    rollout: RolloutArguments = field(default_factory=RolloutArguments)
    reward: RewardArguments = field(default_factory=RewardArguments)
    evaluation: EvaluationArguments = field(default_factory=EvaluationArguments)
    run: RunArguments = field(default_factory=RunArguments)

    def flat(self) -> dict[str, Any]:
        """Option → value, as they were given."""
        return {
            name: value for part in fields(self) for name, value in vars(getattr(self, part.name)).items()
        }

    def fixed(self, config: GrpoConfig) -> dict[str, Any]:
        """What a resumed run must have as it began; steps, evaluation, logs and hardware may be others."""
        result = {
            name: value
            for part in (self.policy, self.data, self.rollout, self.reward)
            for name, value in vars(part).items()
            if name not in ("shape", "slots")
        }
        return result | {name: getattr(config, name) for name in FIXED}


@dataclass
class GrpoConfig(GRPOConfig):
    """TRL's settings with defaults for rankings: small models, short episodes, local logs."""

    output_dir: str | None = option("runs/grpo", "checkpoints, logs, the report and `final`")
    per_device_train_batch_size: int = option(128, "rollouts a step and process")
    num_generations: int = option(16, "rollouts a prompt (G)")
    learning_rate: float = option(1e-4, "peak of AdamW's rate")
    max_steps: int = option(200, "optimiser steps")
    logging_steps: float = option(1, "steps between log rows")
    save_steps: float = option(50, "steps between checkpoints")
    save_total_limit: int | None = option(2, "checkpoints kept; at least 2, or a kill could leave none")
    eval_strategy: str = option("steps", "when to evaluate: `steps`, `epoch` or `no`")
    eval_steps: float | None = option(25, "steps between evaluations")
    eval_on_start: bool = option(True, "evaluate the start too, so that the curve has its origin")
    gradient_checkpointing: bool = option(
        False, "forget activations and compute them again for gradients: less memory, a third more work"
    )
    report_to: list[str] = option(["tensorboard"], "log writers")
    use_cpu: bool = option(False, "train on the CPU, even where there is a GPU")
    bf16: bool | None = option(
        None,
        "autocast to bfloat16; left out: where the hardware multiplies it, on a CPU when there is no GPU",
    )
    remove_unused_columns: bool | None = option(False, "drop columns the model does not take")

    def __post_init__(self) -> None:
        self.per_device_eval_batch_size = self.num_generations  # TRL checks it; evaluation here is our own
        self._choose_precision()
        if (
            getattr(self, "activation_checkpointing", True) is None
        ):  # its newer name, of transformers that have it
            self.activation_checkpointing = self.gradient_checkpointing
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.save_total_limit is not None and self.save_total_limit < 2:
            raise ValueError(
                "save_total_limit must be at least 2: a kill while one is written must leave another"
            )
        self.check_saves("save_steps")

    def check_saves(self, option: str) -> None:
        """Raises ValueError, naming `option`, when the checkpoints fall where a run cannot resume."""
        assert self.steps_per_generation is not None  # TRL has set it
        every = self.steps_per_generation * self.num_iterations / self.gradient_accumulation_steps
        if self.save_strategy != "no" and every > 1 and self.save_steps % every:
            raise ValueError(
                f"{option} must be a multiple of {every:g}, the steps that share their rollouts: a run can resume "
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


def _implied(given: Namespace) -> list[str]:
    """An estimate may be asked for where the run itself could not be."""
    return ["--use_cpu", "true"] if given.dry_run and not torch.cuda.is_available() else []


def parse(words: Sequence[str] | None = None) -> tuple[GrpoArguments, GrpoConfig]:
    """Command line over YAML (`--config`) over defaults."""
    *parts, config = parse_options(
        (
            PolicyArguments,
            DataArguments,
            RolloutArguments,
            RewardArguments,
            EvaluationArguments,
            RunArguments,
            GrpoConfig,
        ),
        words,
        prog="python -m training.grpo",
        description="Reinforcement learning of a ranking policy (GRPO), from a checkpoint.",
        implied=_implied,
    )
    return GrpoArguments(*parts), config
