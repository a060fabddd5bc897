"""From hidden states to logits over candidates."""

from .identifier import IdentifierReadout, ReadsIdentifiers, logit_scale
from .late_interaction import (
    LateInteraction,
    Matched,
    Matches,
    feedback_share,
    feedback_similarities,
    max_similarities,
)
from .pointer import PointerReadout, Pooling, own_fitness, pointer_fitness, segment_means, segment_states
from .protocol import Readout

__all__ = [
    "IdentifierReadout",
    "LateInteraction",
    "Matched",
    "Matches",
    "PointerReadout",
    "Pooling",
    "Readout",
    "ReadsIdentifiers",
    "feedback_share",
    "feedback_similarities",
    "logit_scale",
    "max_similarities",
    "own_fitness",
    "pointer_fitness",
    "segment_means",
    "segment_states",
]
