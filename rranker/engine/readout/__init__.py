"""From hidden states to logits over candidates."""

from .identifier import IdentifierReadout, logit_scale
from .pointer import (
    LateInteraction,
    PointerReadout,
    Pooling,
    max_similarities,
    pointer_fitness,
    segment_means,
    segment_states,
)
from .protocol import Readout

__all__ = [
    "IdentifierReadout",
    "LateInteraction",
    "PointerReadout",
    "Pooling",
    "Readout",
    "logit_scale",
    "max_similarities",
    "pointer_fitness",
    "segment_means",
    "segment_states",
]
