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

    def spent(self, state: Any) -> bool:
        """Whether the best `eval_mrr` of a run in this state is `limit` evaluations old."""
        history = [row["eval_mrr"] for row in state.log_history if "eval_mrr" in row]
        return bool(history) and len(history) - 1 - history.index(max(history)) >= self.limit

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """Asks the trainer to stop when it is `spent`."""
        if self.spent(state):
            control.should_training_stop = True
