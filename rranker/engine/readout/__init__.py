"""From hidden states to logits over candidates."""

from .identifier import IdentifierReadout, logit_scale
from .pointer import PointerReadout, pointer_fitness
from .protocol import Readout

__all__ = ["IdentifierReadout", "PointerReadout", "Readout", "logit_scale", "pointer_fitness"]
