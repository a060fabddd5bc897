"""Scores of the candidates still alive: the kernel, and its reference in PyTorch."""

from .kernel import score, score_kernel
from .reference import Scores, score_reference

__all__ = ["Scores", "score", "score_kernel", "score_reference"]
