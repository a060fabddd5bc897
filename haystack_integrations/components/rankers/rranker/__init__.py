"""Haystack's rankers by rranker. The folders above have no `__init__.py`: all of Haystack's integrations share them."""

from .ranker import RRanker

__all__ = ["RRanker"]
