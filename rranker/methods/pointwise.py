"""Pointwise: each candidate is judged alone, by one question that yes or no answers."""

from __future__ import annotations

from .listwise import Listwise
from .registry import register


@register
class Pointwise(Listwise):
    """Sorted by the logit of yes over that of no; nobody is compared with anybody."""

    name = "pointwise"
    kind = "judge"
