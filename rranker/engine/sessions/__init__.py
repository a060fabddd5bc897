"""One query in the engine: block or causal."""

from .block import BlockSession
from .causal import CausalSession
from .protocol import Session

__all__ = ["BlockSession", "CausalSession", "Session"]
