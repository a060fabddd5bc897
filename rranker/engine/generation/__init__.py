"""Text that the engine writes: thoughts before a verdict, and answers in words; many at once, in the steps of all."""

from ...reasoning import GREEDY, Sampling
from .request import Author, Continuation, TextRequest, Written
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
