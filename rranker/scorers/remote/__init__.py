"""What all scorers share that ask a model over a network: calls, retries, budgets, and jobs that run side by side."""

from .budget import Budget, Usage
from .errors import RemoteError
from .scorer import RemoteScorer
from .settings import Prices

__all__ = ["Budget", "Prices", "RemoteError", "RemoteScorer", "Usage"]
