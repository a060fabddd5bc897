"""Who answers a ranking method's questions: the engine's logits, a remote model, or anything that answers in text."""

from .chat_api import ChatScorer
from .protocol import Job, Scorer
from .remote import Budget, Prices, RemoteError
from .sglang_score import SGLangScorer

__all__ = ["Budget", "ChatScorer", "Job", "Prices", "RemoteError", "SGLangScorer", "Scorer"]
