"""From hidden states to logits over candidates."""

from .identifier import IdentifierReadout, logit_scale
from .pointer import PointerReadout, Pooling, pointer_fitness, segment_means
from .protocol import Readout

__all__ = [
    "IdentifierReadout",
    "PointerReadout",
    "Pooling",
    "Readout",
    "logit_scale",
    "pointer_fitness",
    "segment_means",
]
