"""What a method decided, in places of its walking order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """One round. `probabilities[k]`: of `alive[k]` being named. `excluded`: who went, worst first."""

    alive: tuple[int, ...]
    excluded: tuple[int, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`order`: places, best first. `kept[r]`: the probability of the r-th being kept (preferred) where it counted."""

    order: tuple[int, ...]
    kept: tuple[float, ...]
    decisions: tuple[Decision, ...]
