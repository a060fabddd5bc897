"""One query in the engine: block or causal."""

from .block import BlockQueryState
from .causal import CausalQueryState
from .protocol import QueryState

__all__ = ["BlockQueryState", "CausalQueryState", "QueryState"]
