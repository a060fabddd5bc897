"""Ranking methods: the rules of each, and the players that decide by them. They know no tensors."""

from .answered import Answered
from .defaults import UNTRAINED
from .elimination import Elimination
from .episode import Episode
from .greedy import Greedy, Relayout
from .likelihood import QueryLikelihood
from .listwise import Listwise
from .outcome import Decision, Outcome, Subset
from .player import Player
from .pointwise import Pointwise
from .registry import method_class, method_names, register
from .replayed import order_of, replay
from .sampled import Rollout, Sampled
from .selection import Selection
from .windows import Windows

__all__ = [
    "UNTRAINED",
    "Answered",
    "Decision",
    "Elimination",
    "Episode",
    "Greedy",
    "Listwise",
    "Outcome",
    "Player",
    "Pointwise",
    "QueryLikelihood",
    "Relayout",
    "Rollout",
    "Sampled",
    "Selection",
    "Subset",
    "Windows",
    "method_class",
    "method_names",
    "order_of",
    "register",
    "replay",
]
