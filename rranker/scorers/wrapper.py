"""Scorers around other scorers: what they pass on, and what becomes of the parts of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from math import inf

from ..prompts.spans import Span, spans, word_starts
from ..request import Request
from ..types import Repair, Stats
from .protocol import Scorer

_WORDS = 200
_COUNTS = [field.name for field in fields(Stats) if field.name != "seconds"]


class Wrapper:
    """Passes on whatever is not about a request; a subclass says `prepare` and `play`."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.shares_steps = bool(getattr(scorer, "shares_steps", False))
        self.kv_cache_tokens = room_of(scorer)

    def default_method(self, request: Request) -> str:
        """The scorer's own choice; those written before scorers could choose eliminate."""
        choose = getattr(self._scorer, "default_method", None)
        return "iranker" if choose is None else str(choose(request))

    def spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """Each text in parts that the scorer reads as they are; where it does not say, of 200 words."""
        said = getattr(self._scorer, "spans", None)
        return (
            [spans(text, word_starts(text), _WORDS) for text in texts] if said is None else list(said(texts))
        )

    @property
    def closed(self) -> bool:
        """Whether the scorer is."""
        return self._scorer.closed

    def close(self) -> None:
        """Closes the scorer."""
        self._scorer.close()


def room_of(scorer: Scorer) -> float:
    """KV tokens that its engine holds at once; without an engine there is no bound."""
    return float(getattr(scorer, "kv_cache_tokens", inf))


def sum_of(stats: Iterable[Stats]) -> Stats:
    """The bill of several jobs."""
    bills = list(stats)
    return Stats(**{name: sum(getattr(bill, name) for bill in bills) for name in _COUNTS})


def add_new(repairs: list[Repair], found: Iterable[Repair]) -> None:
    """Appends those that are not there yet, each once."""
    repairs[:] = dict.fromkeys([*repairs, *found])


def moved(repairs: Sequence[Repair], indices: Sequence[int]) -> list[Repair]:
    """Repairs of a part, whose candidate i is candidate `indices[i]` of the whole."""
    return [
        repair
        if repair.index is None
        else replace(
            repair,
            index=indices[repair.index],
            message=repair.message.replace(
                f"candidate {repair.index} ", f"candidate {indices[repair.index]} "
            ),
        )
        for repair in repairs
    ]
