"""What reads logits over candidates from hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ...prompts.segments import Kind
from ..batch import Ints


class Readout(Protocol):
    """Logits of a candidate being named by the suffix: excluded by `exclude`, chosen by `select`.

    Differentiable; `gather.read` is how a step is read.
    """

    needs_states: bool
    """Whether a candidate is read at its own last token (else its identifier is enough)."""

    def vectors(self, identifiers: Sequence[int] | Ints) -> Tensor:
        """[n, D], fp32: what stands for the candidates of these identifiers. For readouts without states."""
        ...

    def logits(self, suffixes: Tensor, candidates: Tensor, kind: Kind) -> Tensor:
        """suffixes [m, D] hidden states, candidates [n, D] vectors or states → [m, n], fp32."""
        ...
