"""Candidates that stand for themselves: a trained head scores their hidden states against the question's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...prompts.segments import Kind
from ..batch import Ints


def pointer_fitness(w: Tensor, bilinear: Tensor, suffixes: Tensor, candidates: Tensor) -> Tensor:
    """Fitness f_i = (w·h_i + (W h_s)·h_i) / √D, with gradients: suffixes […, S, D], candidates […, N, D] → […, S, N].

    h_i is candidate i's last token, h_s the suffix's, after the final norm. The first term looks at a candidate alone,
    the second (W is `bilinear` [D, D]) knows who is still alive. All in fp32.
    """
    states = candidates.float()
    fitness: Tensor = (w + suffixes.float() @ bilinear.T) @ states.mT / states.shape[-1] ** 0.5
    return fitness


class PointerReadout:
    """A small trained head, as `pointer_fitness` says. Naming for exclusion is unfitness: its logit is -f."""

    needs_states = True

    def __init__(self, w: Tensor, bilinear: Tensor) -> None:
        self._w, self._bilinear = w.float(), bilinear.float()

    def vectors(self, identifiers: Sequence[int] | Ints) -> Tensor:
        """Raises TypeError: there is nothing to look up by identifier."""
        raise TypeError("a pointer reads candidates' hidden states, not identifiers")

    def logits(self, suffixes: Tensor, candidates: Tensor, kind: Kind) -> Tensor:
        """suffixes [S, D] by candidates [N, D] → [S, N]: fitness, negated for a question that asks for the worst."""
        fitness = pointer_fitness(self._w, self._bilinear, suffixes, candidates)
        return fitness if kind == "select" else -fitness
