"""Reinforcement learning of a ranking policy: `python -m training.grpo`."""

from rranker.training.grpo.run import explain, parse, train

__all__ = ["explain", "parse", "train"]
