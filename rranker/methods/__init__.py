"""Ranking methods: small state machines that know no tensors."""

from .dranker import DRanker
from .iranker import IRanker, Order
from .outcome import Decision, Outcome

__all__ = ["DRanker", "Decision", "IRanker", "Order", "Outcome"]
