"""Supervised training of the small ranker: `python -m training.sft`."""

from rranker.training.sft.run import Maker, train

__all__ = ["Maker", "train"]
