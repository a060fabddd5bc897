"""What reads logits over candidates from hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ...prompts.segments import Kind
from ..batch import Ints
from .late_interaction import Matches
from .pointer import Pooling


class Readout(Protocol):
    """Logits of a candidate being named by the suffix: excluded by `exclude`, chosen by `select`.

    Differentiable; `gather.StepReader` is how a step is read.
    """

    needs_states: bool
    """Whether a candidate's own state is read (else its identifier is enough)."""
    pooling: Pooling
    """Which state that is; but for `last`, the prefix's is read, too."""

    def vectors(self, identifiers: Sequence[int] | Ints | Tensor) -> Tensor:
        """[n, D], fp32: what stands for the candidates of these identifiers. For readouts without states."""
        ...

    matches: Matches | None
    """How the candidates' tokens are compared with the query's, too; None: they are not."""

    def logits(
        self,
        suffixes: Tensor,
        candidates: Tensor,
        kind: Kind,
        prefix: Tensor | None = None,
        matched: Tensor | None = None,
    ) -> Tensor:
        """suffixes [m, D] hidden states, candidates [n, D] vectors or states, prefix [D] state → [m, n], fp32.

        matched [n]: what late interaction adds to each candidate's fitness.
        """
        ...
