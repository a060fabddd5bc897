"""Ranking methods: the rules of each, and the players that decide by them. They know no tensors."""

from .answered import Answered
from .comparisons import Comparisons
from .defaults import UNTRAINED
from .elimination import Elimination
from .episode import Episode
from .greedy import Greedy, Relayout
from .likelihood import QueryLikelihood
from .listwise import Listwise
from .outcome import Decision, Outcome, Subset
from .pairwise import Pairwise
from .player import Player
from .pointwise import Pointwise
from .registry import method_class, method_names, register
from .replayed import order_of, replay
from .sampled import Rollout, Sampled
from .selection import Selection
from .setwise import Setwise
from .tournament import Tournament
from .windows import Windows

__all__ = [
    "UNTRAINED",
    "Answered",
    "Comparisons",
    "Decision",
    "Elimination",
    "Episode",
    "Greedy",
    "Listwise",
    "Outcome",
    "Pairwise",
    "Player",
    "Pointwise",
    "QueryLikelihood",
    "Relayout",
    "Rollout",
    "Sampled",
    "Selection",
    "Setwise",
    "Subset",
    "Tournament",
    "Windows",
    "method_class",
    "method_names",
    "order_of",
    "register",
    "replay",
]
