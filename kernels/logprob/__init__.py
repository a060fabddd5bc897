"""Log-probability and entropy of chosen tokens, with gradients; it needs no Triton."""

from .function import selected_logprobs
from .reference import backward_reference, forward_reference

__all__ = ["backward_reference", "forward_reference", "selected_logprobs"]
