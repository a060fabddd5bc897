"""What watches a run: gradients that are not finite, and evaluations that no longer get better."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback


class StopOnNaN(TrainerCallback):
    """Stops before the optimiser would write NaN into the weights."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Raises FloatingPointError that names the first parameter whose gradient is not finite."""
        for name, parameter in rest["model"].named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                raise FloatingPointError(
                    f"step {state.global_step}: the gradient of {name} is not finite; lower the learning rate"
                )


class Patience(TrainerCallback):
    """Stops after `limit` evaluations in a row without a better `eval_mrr`. Remembers through a resume."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """Asks the trainer to stop when the best `eval_mrr` is `limit` evaluations old."""
        history = [row["eval_mrr"] for row in state.log_history if "eval_mrr" in row]
        since_best = len(history) - 1 - max(range(len(history)), key=history.__getitem__)
        if since_best >= self.limit:
            control.should_training_stop = True
