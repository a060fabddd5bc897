"""Candidates that stand for themselves: a trained head scores their hidden states against the question's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...prompts.segments import Kind
from ..batch import Ints
from .late_interaction import (
    LateInteraction,
    Matched,
    Matches,
    feedback_share,
    feedback_similarities,
    max_similarities,
)

Pooling = Literal["last", "mean", "cls"]
"""What a segment's state is: its last token's, the mean over its tokens, or its first token's (BERT's `[CLS]`)."""


def pointer_fitness(
    w: Tensor,
    bilinear: Tensor,
    suffixes: Tensor,
    candidates: Tensor,
    scale: Tensor | None = None,
    prefix: Tensor | None = None,
    matched: Tensor | None = None,
) -> Tensor:
    """Fitness f_i = (w·h_i + (W h_s)·h_i) / √D, and with a prefix's state h_p, f_i + scale · cos(h_p, h_i).

    With late interaction also matched_i: […, N], what it adds (`PointerReadout.matches`).

    With gradients: suffixes […, S, D], candidates […, N, D], prefix […, D], scale [1] → […, S, N], in fp32. h_i, h_p
    and h_s are the states of candidate i, the prefix and the suffix, after the final norm. The term with W (`bilinear`
    [D, D]) knows who is still alive; the others look at a candidate alone.
    """
    set_aware = suffixes.float() @ bilinear.T @ candidates.float().mT / candidates.shape[-1] ** 0.5
    alone = own_fitness(w, candidates, scale, prefix)
    if matched is not None:
        alone = alone + matched
    fitness: Tensor = alone[..., None, :] + set_aware
    return fitness


def own_fitness(
    w: Tensor, candidates: Tensor, scale: Tensor | None = None, prefix: Tensor | None = None
) -> Tensor:
    """What relevance is made of: w·h_i / √D, and scale · cos(h_p, h_i), of each candidate alone.

    Late interaction is added where a calibration asks for it (`Matched.alone`). As in `pointer_fitness` → […, N].
    Sums of products row by row: a number does not depend on the other rows, to the last bit.
    """
    states = candidates.float()
    fitness: Tensor = (states * w).sum(-1) / states.shape[-1] ** 0.5
    if (prefix is None) != (scale is None):
        raise ValueError("similarity to the prefix needs its state and a scale: one of them is missing")
    if prefix is None or scale is None:
        return fitness
    towards = normalize(prefix.float(), dim=-1)[..., None, :]
    fitness = fitness + scale * (towards * normalize(states, dim=-1)).sum(-1)
    return fitness


def segment_means(states: Tensor, lengths: Sequence[int] | Tensor) -> Tensor:
    """states [T, D] of segments that lie end to end → [segments, D], each one's mean over its own tokens.

    Lengths that are a tensor are there already, and known to add up to T: nothing waits for the device to check them.
    """
    known = isinstance(lengths, Tensor)
    counts = lengths if isinstance(lengths, Tensor) else torch.tensor(lengths, device=states.device)
    means: Tensor = torch.segment_reduce(states, "mean", lengths=counts, unsafe=known)
    return means


def segment_states(states: Tensor, lengths: Sequence[int] | Tensor, pooling: Pooling) -> Tensor:
    """states [T, D] of segments that lie end to end → [segments, D], what each one's state is by `pooling`.

    Lengths as `segment_means` takes them.
    """
    if pooling == "mean":
        return segment_means(states, lengths)
    counts = lengths if isinstance(lengths, Tensor) else torch.tensor(lengths, device=states.device)
    ends = counts.cumsum(0)
    return states[ends - (1 if pooling == "last" else counts)]


class PointerReadout:
    """A small trained head, as `pointer_fitness` says. Naming for exclusion is unfitness: its logit is -f.

    `pooling` says which states it reads; None: the last token's, or, with a `scale` [1], means. With a scale similarity
    to the prefix counts; with `late` the similarity of single tokens does, too.
    """

    needs_states = True

    def __init__(
        self,
        w: Tensor,
        bilinear: Tensor,
        scale: Tensor | None = None,
        late: LateInteraction | None = None,
        pooling: Pooling | None = None,
    ) -> None:
        self._w, self._bilinear = w.float(), bilinear.float()
        self._scale, self.late = None if scale is None else scale.float(), late
        self.matches: Matches | None = None if late is None else self._matches
        self.pooling: Pooling = pooling or ("last" if scale is None else "mean")

    def vectors(self, identifiers: Sequence[int] | Ints | Tensor) -> Tensor:
        """Raises TypeError: there is nothing to look up by identifier."""
        raise TypeError("a pointer reads candidates' hidden states, not identifiers")

    def _matches(
        self,
        tokens: Tensor,
        lengths: Tensor,
        prefix: Tensor,
        candidates: Tensor,
        words: int,
        longest: int,
        search: bool,
    ) -> Matched:
        """tokens [T, D] of the prefix and the candidates end to end, their lengths [1 + n] and states → `Matched`.

        prefix [D], candidates [n, D]; the prefix has `words` tokens, and no candidate more than `longest`. What late
        interaction adds: its strength times what is matched. Feedback is that of the candidate that fits best without.
        """
        assert self.late is not None
        strength = self.late.strength(prefix, search)
        matched = strength * max_similarities(tokens, lengths, words)
        if self.late.feedback is None or not feedback_share(len(candidates)):
            return Matched(matched, matched)
        best = (self.pointwise(candidates, prefix) + matched).argmax(0, keepdim=True)
        said = feedback_similarities(tokens, lengths, words, best, longest)
        return Matched(matched, matched + strength * self.late.feedback * said)

    def logits(
        self,
        suffixes: Tensor,
        candidates: Tensor,
        kind: Kind,
        prefix: Tensor | None = None,
        matched: Tensor | None = None,
    ) -> Tensor:
        """suffixes [S, D] by candidates [N, D] → [S, N]: fitness, negated for a question that asks for the worst."""
        fitness = pointer_fitness(self._w, self._bilinear, suffixes, candidates, self._scale, prefix, matched)
        return -fitness if kind == "exclude" else fitness

    def pointwise(self, candidates: Tensor, prefix: Tensor | None = None) -> Tensor:
        """candidates [N, D], prefix [D] → [N], fp32: `own_fitness`."""
        return own_fitness(self._w, candidates, self._scale, prefix)
