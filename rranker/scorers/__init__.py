"""Who answers a ranking method's questions: the engine's logits, or anything that answers in text."""

from .protocol import Job, Scorer

__all__ = ["Job", "Scorer"]
