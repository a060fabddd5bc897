"""Causal lists for the small model's trainer: one prompt a query, its suffix copies after ever shorter lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rranker.prompts import Segments
from rranker.training.packing.layout import Layout, spread


@dataclass(frozen=True)
class CausalLayout(Layout):
    """A `Layout` whose `prefix` is the whole prompt: what comes later sees all that came before.

    `candidates` are [B, 0, 0]: no row is alone with the prefix. `alive[b, s]` is the first few candidates;
    `visible[b, s]` are the prompt's rows up to the last of them, what suffix copy s may see.
    """

    visible: Tensor  # [B, S, P] bool


def build_causal_layout(
    segments: Sequence[Segments], suffixes: Sequence[Sequence[int]], sizes: Sequence[Sequence[int]]
) -> CausalLayout:
    """`suffixes[b]` are the tokens of query b's S copies; copy s stands after `sizes[b][s]` candidates."""
    batch, copies = len(segments), len(suffixes[0])
    many = max(len(s.candidates) for s in segments)
    width = max(len(s.prefix) + sum(map(len, s.candidates)) for s in segments)
    prompt = torch.zeros(batch, width, dtype=torch.long)
    valid = torch.zeros(batch, width, dtype=torch.bool)
    ends = torch.zeros(batch, many, dtype=torch.long)
    alive = torch.zeros(batch, copies, many, dtype=torch.bool)
    visible = torch.zeros(batch, copies, width, dtype=torch.bool)
    ids: list[int] = []
    positions: list[int] = []
    after: list[int] = []
    back: list[Tensor] = []
    for b, s in enumerate(segments):
        first = len(ids)
        ids += s.prefix
        lasts = [len(ids) - first]
        for i, candidate in enumerate(s.candidates):
            ids += candidate
            ends[b, i] = len(ids) - 1
            lasts.append(len(ids) - first)
        length = len(ids) - first
        positions += range(length)
        prompt[b, :length] = torch.arange(first, len(ids))
        valid[b, :length] = True
        back.append(b * width + torch.arange(length))
        for copy, size in enumerate(sizes[b]):
            alive[b, copy, :size] = True
            visible[b, copy, : lasts[size]] = True
            after.append(lasts[size])
    suffix = len(ids) + torch.arange(batch * copies).view(batch, copies)
    back.append(batch * width + torch.arange(batch * copies))
    for tokens in suffixes:
        ids += tokens
    nothing = torch.zeros(batch, 0, 0, dtype=torch.long)
    return CausalLayout(
        torch.tensor(ids),
        torch.tensor(positions + after),
        spread(prompt, valid, len(ids)),
        valid,
        nothing,
        nothing.bool(),
        suffix,
        alive,
        ends,
        torch.cat(back),
        visible,
        search=torch.zeros(batch, dtype=torch.bool),
    )


def prefix_sizes(relevance: Sequence[float], copies: int, rng: np.random.Generator) -> list[int]:
    """How many candidates stand before each copy: all twice (select, exclude), then fewer; a best one is in."""
    n, top = len(relevance), max(relevance)
    least = next(i for i, grade in enumerate(relevance) if grade == top) + 1
    drawn = rng.integers(max(least, min(2, n)), n + 1, size=copies - 2)
    return [n, n, *sorted(map(int, drawn), reverse=True)]
