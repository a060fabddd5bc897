"""Rank candidates with a language model by iterative elimination, with candidates encoded once in block attention.

>>> import rranker
>>> rranker.rank("who wrote Emma?", ["Jane Austen wrote Emma in 1815.", "Emma is a given name."]).order
[0, 1]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .types import Candidate, RankedCandidate, Ranking, Repair, Round, Stats

if TYPE_CHECKING:
    from . import data, methods, metrics, permutations, prompts, rewards, scorers
    from .api import arank, rank, stream
    from .engine.errors import CapacityError, UnsupportedModelError
    from .ranker import Ranker
    from .streaming import AsyncRankingStream, RankingStream

__all__ = [
    "AsyncRankingStream",
    "Candidate",
    "CapacityError",
    "RankedCandidate",
    "Ranker",
    "Ranking",
    "RankingStream",
    "Repair",
    "Round",
    "Stats",
    "UnsupportedModelError",
    "arank",
    "data",
    "methods",
    "metrics",
    "permutations",
    "prompts",
    "rank",
    "rewards",
    "scorers",
    "stream",
]

__version__ = "0.1.0"

# Importing rranker must stay cheap: torch and transformers come in with the first of these that is used.
_LAZY = {
    "arank": "api",
    "rank": "api",
    "stream": "api",
    "Ranker": "ranker",
    "AsyncRankingStream": "streaming",
    "RankingStream": "streaming",
    "CapacityError": "engine.errors",
    "UnsupportedModelError": "engine.errors",
}
_MODULES = ("data", "methods", "metrics", "permutations", "prompts", "rewards", "scorers")


def __getattr__(name: str) -> Any:
    if name not in _LAZY and name not in _MODULES:
        raise AttributeError(f"module 'rranker' has no attribute {name!r}")
    from importlib import import_module

    from .processes import importing

    with importing():
        if name in _MODULES:
            return import_module(f".{name}", __name__)  # which makes it an attribute
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_MODULES})
