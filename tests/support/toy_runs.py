"""GRPO on the toy task, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

from rranker.training.grpo import parse, train
from tests.support.toys import toy_cases


class StopAt(TrainerCallback):
    """Stops a run as it saves this step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step == self.step


def run(words: list[str], watchers: Sequence[Any] = ()) -> Any:
    """A run by these words of the command line on 24 toy cases, and its trainer; `watchers` are further callbacks."""
    arguments, config = parse(words)
    held = {"toy": list(toy_cases(8, seed=1).values())}
    return train(arguments, config, toy_cases(24), held if config.eval_strategy != "no" else {}, watchers)
