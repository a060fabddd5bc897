"""Log-probabilities of episodes under a policy: every round of every episode from one forward a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rranker.methods import Episode, Subset, replay
from rranker.prompts.segments import Segments
from rranker.training.packing.layout import CAUSALLY, Attends
from rranker.training.packing.questions import Question, pack

SEPARATOR = -1
"""Ends a segment in a row of ids. No token has this id, so the row can be taken apart again."""
_STEP, _ZERO = 1e-6, 1 << 40
"""What one more means of a prior, and the number of a prior of 0."""


def to_ids(segments: Segments) -> list[int]:
    """`prefix, -1, candidate, -1, …, suffix, -1, identifiers, -1, numbers, -1, targets`: all that re-scoring needs.

    The numbers are `search`, and `prior` in steps of `_STEP`, none of them negative.
    """
    ids: list[int] = []
    numbers = [int(segments.search), *(_ZERO + round(prior / _STEP) for prior in segments.prior)]
    for part in (segments.prefix, *segments.candidates, segments.suffix, segments.identifiers, numbers):
        ids += [*part, SEPARATOR]
    return ids + list(segments.targets)


def from_ids(ids: Sequence[int]) -> Segments:
    """The inverse of `to_ids`, but for what is less than a step of a prior."""
    parts: list[tuple[int, ...]] = []
    begin = 0
    for place, token in enumerate(ids):
        if token == SEPARATOR:
            parts.append(tuple(ids[begin:place]))
            begin = place + 1
    prefix, *candidates, suffix, identifiers, (search, *numbers) = parts
    prior = tuple((number - _ZERO) * _STEP for number in numbers)
    return Segments(prefix, tuple(candidates), suffix, identifiers, tuple(ids[begin:]), prior, bool(search))


@dataclass(frozen=True)
class Row:
    """One episode of a batch: whose prompt it is, and whom it named, one after another."""

    prompt: int
    decisions: tuple[int, ...]


def score(
    lm: Any,
    prompts: Sequence[Segments],
    rows: Sequence[Row],
    method: type[Episode],
    mode: Literal["block", "causal"],
    temperature: float,
    device: torch.device,
    attends: Attends = CAUSALLY,
) -> tuple[Tensor, Tensor]:
    """(log-probabilities, entropies) of all decisions, [rows, longest], 0 where an episode has ended.

    Each prompt is encoded once, however many rows share it; equal questions are asked once. `lm` is called with
    `packed=`, so it may be wrapped (DDP, FSDP), and attends as `attends` says.
    """
    wanted = [list(replay(method(len(prompts[r.prompt].candidates)), r.decisions)) for r in rows]
    distinct: list[dict[Subset, int]] = [{} for _ in prompts]
    for row, steps in zip(rows, wanted, strict=True):
        for subset, _ in steps:
            distinct[row.prompt].setdefault(subset, len(distinct[row.prompt]))
    logits: list[Tensor | None] = [None] * len(prompts)
    for bucket in buckets(prompts, distinct, mode):
        questions = [Question(prompts[p], tuple(distinct[p])) for p in bucket]
        packed = pack(questions, method.kind, mode, device, attends)
        for p, scores in zip(bucket, lm(packed=packed), strict=True):
            logits[p] = scores / temperature
    width = max(len(row.decisions) for row in rows)
    logps, entropies = [], []
    for row, steps in zip(rows, wanted, strict=True):
        table = logits[row.prompt]
        assert table is not None
        asked = table[[distinct[row.prompt][subset] for subset, _ in steps]]
        chances = asked.masked_fill(~_choices(steps, asked), -torch.inf).log_softmax(-1)
        picked = chances[torch.arange(len(steps), device=device), torch.tensor(row.decisions, device=device)]
        spread = torch.where(chances.isfinite(), chances, 0.0)
        empty = width - len(steps)
        logps.append(torch.nn.functional.pad(picked, (0, empty)))
        entropies.append(torch.nn.functional.pad(-(chances.exp() * spread).sum(-1), (0, empty)))
    return torch.stack(logps), torch.stack(entropies)


def _choices(steps: Sequence[tuple[Subset, Subset]], like: Tensor) -> Tensor:
    """[decisions, n] bool: whom each decision could name."""
    mask = torch.zeros(like.shape, dtype=torch.bool)
    for t, (_, choices) in enumerate(steps):
        mask[t, list(choices)] = True
    return mask.to(like.device)


def buckets(
    prompts: Sequence[Segments], distinct: Sequence[dict[Subset, int]], mode: Literal["block", "causal"]
) -> Iterator[list[int]]:
    """Prompts that share a forward: of like shape where a layout pads them to one, else all of them."""
    used = [p for p, subsets in enumerate(distinct) if subsets]
    if mode == "causal" or any(len(prompts[p].suffix) > 1 for p in used):
        if used:
            yield used
        return
    shapes: dict[tuple[int, int], list[int]] = {}
    for p in used:
        longest = max(map(len, prompts[p].candidates))
        shapes.setdefault((len(prompts[p].candidates), longest.bit_length()), []).append(p)
    yield from shapes.values()
