"""Text that the engine writes: thoughts before a verdict, and answers in words; many at once, in the steps of all."""

from .request import Author, Continuation, TextRequest, Written
from .sampler import GREEDY, Sampling
from .writing import Stretch, Thought, Writing

__all__ = [
    "GREEDY",
    "Author",
    "Continuation",
    "Sampling",
    "Stretch",
    "TextRequest",
    "Thought",
    "Writing",
    "Written",
]
