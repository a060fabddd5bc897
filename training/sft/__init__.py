"""Supervised training of rankers, small ones and language models: `python -m training.sft`."""

from rranker.training.sft.feeding import Maker
from rranker.training.sft.run import train

__all__ = ["Maker", "train"]
