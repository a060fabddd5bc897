"""The gate of a gated MLP, its activation times the other half: the kernel, and its reference in PyTorch."""

from .kernel import gate
from .reference import ACTIVATIONS, Activation, gate_reference

__all__ = ["ACTIVATIONS", "Activation", "gate", "gate_reference"]
