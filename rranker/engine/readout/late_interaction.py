"""Late interaction: how well a candidate's tokens match the query's, and those of the best candidate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

FEW, MANY = 12, 100
"""Candidates of a list up to which feedback does not count, and from which on it counts in full."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What late interaction adds to the fitness of each candidate: `alone` [n] by the query's words, fp32.

    `added` [n] has feedback in it, too, which depends on who else is there; without any it is `alone` itself.
    """

    alone: Tensor
    added: Tensor


Matches = Callable[[Tensor, Tensor, Tensor, Tensor, int, int, bool], Matched]
"""What late interaction adds: see `PointerReadout.matches`."""


@dataclass(frozen=True, slots=True)
class LateInteraction:
    """How much a candidate's best matches of the query's tokens count: `weight` [1], `gate` [D] and `gate_bias` [1].

    In full where the query is a search; elsewhere as far as the gate says. A word or two tell a gate little.
    `feedback` [1]: how much of that its matches of the best candidate's tokens count besides, in lists of many (see
    `feedback_share`); None: nothing.
    """

    weight: Tensor
    gate: Tensor
    gate_bias: Tensor
    feedback: Tensor | None = None

    def strength(self, prefix: Tensor, search: bool | Tensor) -> Tensor:
        """prefix […, D], search […] bool → […]: the weight, as far as the query wants it.

        Histories and routes ask for other words than their own.
        """
        wanted = (normalize(prefix.float(), dim=-1) * self.gate).sum(-1) + self.gate_bias[0]
        share = wanted.sigmoid()
        if isinstance(search, Tensor):
            share = torch.where(search, torch.ones_like(share), share)
        elif search:  # known to the host: nothing travels
            share = torch.ones_like(share)
        strength: Tensor = self.weight[0] * share
        return strength


def feedback_share(candidates: int) -> float:
    """How much feedback counts among so many candidates: few seldom have another that answers, too."""
    return min(max(candidates - FEW, 0) / (MANY - FEW), 1.0)


def max_similarities(states: Tensor, lengths: Tensor, prefix: int) -> Tensor:
    """states [T, D] of the prefix and the candidates end to end, lengths [1 + n] of them → [n], fp32.

    The first `prefix` states are the query's.

    Of each candidate the mean, over the query's words, of the cosine to the candidate's word that is most like it:
    late interaction, the MaxSim of ColBERT (arXiv 2004.12832) divided by the number of words. The tokens that open and
    close a text, an encoder's `[CLS]` and `[SEP]`, are no words, though a query without words asks with them. A word to
    which a candidate has none alike counts 0, so a candidate without words matches nothing.
    """
    tokens = normalize(states.float(), dim=-1)
    words = slice(1, prefix - 1) if prefix > 2 else slice(prefix)
    return _best_matches(tokens[prefix:], tokens[words], lengths[1:]).mean(-1)


def feedback_similarities(
    states: Tensor, lengths: Tensor, prefix: int, chosen: Tensor, longest: int
) -> Tensor:
    """As `max_similarities`, with the words of candidate `chosen` [1] in place of the query's, times `feedback_share`.

    Pseudo-relevance feedback: the best candidate is read as if it were asked for, too (ColBERT-PRF, arXiv 2106.11251,
    asks for some words of several). No candidate is longer than `longest`. What is chosen stays a tensor: a number on
    the host would make it wait for the device.
    """
    texts, counts = normalize(states[prefix:].float(), dim=-1), lengths[1:]
    length = counts.index_select(0, chosen)
    places = torch.arange(longest, device=counts.device)
    rows = counts.cumsum(0).index_select(0, chosen) - length + places
    word = (places < length) & ((length <= 2) | ((places > 0) & (places < length - 1)))
    asked = texts.index_select(0, rows.clamp_max(len(texts) - 1))
    return feedback_share(len(counts)) * (_best_matches(texts, asked, counts) * word).sum(-1) / word.sum()


def _best_matches(texts: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
    """texts [T, D] end to end, lengths [n], words [W, D], all of length 1 → [n, W]: cosines to the most like word.

    At least 0, which the tokens count that open and close a text.
    """
    ends = lengths.cumsum(0)
    alike = (texts @ words.T).index_fill(0, torch.cat([ends - lengths, ends - 1]), 0.0)
    best: Tensor = torch.segment_reduce(alike, "max", lengths=lengths, unsafe=True)
    return best
