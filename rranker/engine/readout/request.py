"""What is to be read of a step, and on whose behalf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...prompts.segments import Kind
from ..batch import Ints
from .late_interaction import Matched

Subset = tuple[int, ...]
"""Candidates a question is about, in prompt order: places in the session's segments."""

Logits = NDArray[np.float32]

PointwiseScore = Literal["states", "tokens"]
"""What a pointer says of each candidate alone: by its `states`, or with late interaction of `tokens` (no feedback)."""


@dataclass(frozen=True, slots=True)
class ReadoutRequest:
    """What one session wants to know of a step's hidden states.

    subsets[k] is asked about by the question whose hidden state is at suffixes[k]. Candidate i is named by the token
    `identifiers[i]`, or stands for itself in states[i] ([n, D], fp32) when the readout needs states. `prefix` [D] is
    the prefix's state, where those are means; `matched` is what late interaction adds to the candidates. `prior`: see
    `Segments`.

    Of a pointwise kind, suffixes holds the rows of each candidate of each subset in turn: one row, or for `likelihood`
    one a target, at which that target is the next token. `targets`: see `Segments`.
    """

    kind: Kind
    subsets: Sequence[Subset]
    suffixes: range
    identifiers: Ints
    states: Tensor | None
    targets: Sequence[int] = ()
    prefix: Tensor | None = None
    matched: Matched | None = None
    prior: tuple[float, ...] = ()

    @property
    def added(self) -> Tensor | None:
        """[n]: what late interaction adds to each candidate's fitness among the others."""
        return None if self.matched is None else self.matched.added


def prior_logits(requests: Sequence[ReadoutRequest]) -> Logits | None:
    """[candidates of all subsets of all requests, end to end]: what is added to their logits; None: nothing.

    Of a question for the worst it is taken off.
    """
    if not any(request.prior for request in requests):
        return None
    parts = list[Logits]()
    for request in requests:
        order = np.fromiter(chain.from_iterable(request.subsets), np.int64)
        given = (
            np.asarray(request.prior, dtype=np.float32)[order]
            if request.prior
            else np.zeros(len(order), np.float32)
        )
        parts.append(-given if request.kind == "exclude" else given)
    return np.concatenate(parts)


NOT_FINITE = "the model's logits are not finite: its weights may be damaged, or need dtype='float32'"


def check_finite(logits: Logits) -> None:
    """Raises FloatingPointError when a logit is not finite."""
    if not np.isfinite(logits).all():
        raise FloatingPointError(NOT_FINITE)
