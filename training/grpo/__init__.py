"""Reinforcement learning of a ranking policy: `python -m training.grpo`."""

from rranker.training import train_extra

with train_extra():
    from rranker.training.grpo.arguments import parse
    from rranker.training.grpo.run import explain, train

__all__ = ["explain", "parse", "train"]
