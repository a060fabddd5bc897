"""TRL's settings, as a run on rankings wants them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from trl import GRPOConfig

from rranker.engine.hardware import best_device, best_dtype, warn_if_emulated
from rranker.training.options import option

STEPS = 200
"""Of a run that says neither how many steps nor how many passes."""


@dataclass
class GrpoConfig(GRPOConfig):
    """TRL's settings with defaults for rankings: small models, short episodes, local logs."""

    output_dir: str | None = option("runs/grpo", "checkpoints, logs, the report and `final`")
    per_device_train_batch_size: int = option(128, "rollouts a step and process", least=1)
    gradient_accumulation_steps: int = option(1, "batches whose gradients a step adds up", least=1)
    num_generations: int = option(16, "rollouts a prompt (G)", least=2)
    num_iterations: int = option(1, "times each rollout is learnt from", least=1)
    temperature: float = option(1.0, "of what is drawn: higher tries more", above=0)
    beta: float = option(0.0, "weight of the KL to the start; 0: none is loaded", least=0)
    learning_rate: float = option(1e-4, "peak of AdamW's rate", least=0)
    max_steps: int = option(
        None, f"optimiser steps (default: {STEPS}); at most 0: what num_train_epochs take"
    )
    num_train_epochs: float = option(
        None, "passes over the training cases, in place of max_steps (default: 3 where that is -1)", above=0
    )
    seed: int = option(42, "of cases, rollouts and new weights", least=0)
    logging_steps: float = option(1, "steps between log rows", above=0)
    save_steps: float = option(50, "steps between checkpoints", above=0)
    save_total_limit: int | None = option(2, "checkpoints kept; at least 2, or a kill could leave none")
    eval_strategy: str = option("steps", "when to evaluate: `steps`, `epoch` or `no`")
    eval_steps: float | None = option(25, "steps between evaluations", above=0)
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
        self._choose_length()
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

    def _choose_length(self) -> None:
        """Passes that are asked for are not cut short by the default number of steps."""
        if self.max_steps is None:
            self.max_steps = STEPS if self.num_train_epochs is None else -1
        elif self.max_steps > 0 and self.num_train_epochs is not None:
            raise ValueError(
                f"max_steps {self.max_steps} and num_train_epochs {self.num_train_epochs:g} both say how long a run "
                "is: leave one out (max_steps -1, where a file gives it)"
            )
        if self.num_train_epochs is None:
            self.num_train_epochs = 3.0  # TRL's own

    def _choose_precision(self) -> None:
        """Left out, `bf16` follows the hardware. TRL's own default is to ask for it everywhere."""
        on_cpu = self.use_cpu or best_device().type == "cpu"
        device = torch.device("cpu") if on_cpu else best_device()
        if torch.accelerator.is_available():  # transformers would take whatever there is, such as Apple's GPU
            self.use_cpu = on_cpu
        if self.bf16 is None:
            self.use_cpu = on_cpu  # where it would run anyway; asked for by name, bf16 is taken on a CPU
            self.bf16 = not self.fp16 and best_dtype(device) == torch.bfloat16
        elif self.bf16:
            warn_if_emulated(device, torch.bfloat16, "bf16")
