"""One query in the engine: block or causal."""

from .block import BlockSession
from .causal import CausalSession
from .protocol import Ask, Logits, Session

__all__ = ["Ask", "BlockSession", "CausalSession", "Logits", "Session"]
