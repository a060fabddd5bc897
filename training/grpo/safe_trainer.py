"""TRL's trainers, made safe to interrupt: they stop on NaN, and a half-written checkpoint never counts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from trl import GRPOTrainer

from rranker.training.grpo.checkpoints import CheckpointError, drop_partial, mark_complete
from rranker.writing import writing_failed

# The rollout hook is marked experimental; TRL's version is pinned in pyproject.toml, so the warning says nothing.
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


class SafeTrainer:
    """What stands before a trainer of TRL's among the bases of a class."""

    args: Any
    model: Any
    state: Any
    accelerator: Any
    lr_scheduler: Any

    run_settings: Mapping[str, Any] = MappingProxyType({})
    """What is saved beside each checkpoint, for a resumed run to be compared with."""

    def train_from(self, checkpoint: Path | None, resume: bool, settings: Mapping[str, Any]) -> None:
        """Trains from what `start_from` found, under the same `resume` and `settings`."""
        self.run_settings = settings
        if resume and self.accelerator.is_main_process:
            drop_partial(self.args.output_dir)
        self.accelerator.wait_for_everyone()
        trainer: Any = self
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """transformers', with the next step's rate by the schedule as it is now: a longer run has a longer one.

        What is saved is the rate by the old one, whose end is 0, and a first new step would learn nothing.
        """
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        schedule: Any = self.lr_scheduler
        if checkpoint is None or not isinstance(schedule, LambdaLR):
            return
        rates = [
            base * rate(schedule.last_epoch)
            for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
        ]
        for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        schedule._last_lr = rates  # noqa: SLF001 (what is logged as the rate of the next step)

    def training_step(self, *inputs: Any, **keywords: Any) -> Tensor:
        """TRL's. Raises FloatingPointError when the loss is not finite."""
        loss: Tensor = super().training_step(*inputs, **keywords)  # type: ignore[misc]
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"step {self.state.global_step}: the loss is {loss.item()}; lower the learning rate"
            )
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        broken = [name for name, p in self.model.named_parameters() if not torch.isfinite(p).all()]
        if broken:
            raise FloatingPointError(
                f"step {self.state.global_step}: {broken[0]} is not finite; lower the learning rate"
            )
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                mark_complete(folder, self.run_settings)
        except (OSError, RuntimeError, SafetensorError) as error:
            if not writing_failed(error):
                raise
            raise CheckpointError(f"{folder} could not be written: {error}") from error

    def create_model_card(self, *inputs: Any, **keywords: Any) -> None:
        """No card a checkpoint: the report says what was trained, and cards are written by people."""


class SafeGRPOTrainer(SafeTrainer, GRPOTrainer):
    """What both policies share."""

    def seed_step(self) -> None:
        """Makes what torch draws next a function of the step, so that a resumed run draws the same."""
        torch.manual_seed(
            self.args.seed * 1_000_003 + self.state.global_step * 1009 + self.accelerator.process_index
        )
