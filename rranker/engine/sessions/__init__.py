"""One query in the engine: how its segments see each other, and what of them is kept."""

from .block import BlockQueryState
from .causal import CausalQueryState
from .kept import KeptQueryState
from .pointwise import PointwiseQueryState
from .protocol import QueryState

__all__ = ["BlockQueryState", "CausalQueryState", "KeptQueryState", "PointwiseQueryState", "QueryState"]
