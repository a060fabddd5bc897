"""Cases to a packed batch: tokenised pieces cut to training lengths, nested alive sets, targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from rranker.data import RankingExample
from rranker.engine.loading.settings import AttentionMode
from rranker.item_factors import ItemFactors
from rranker.prompts import TEMPLATES, Segments
from rranker.prompts.assemble import PromptFormat, with_prior
from rranker.prompts.segments import PromptPart
from rranker.training.examples.example import Example
from rranker.training.packing.budget import candidates_that_fit, lists_that_fit
from rranker.training.packing.causal import build_causal_layout, prefix_sizes
from rranker.training.packing.layout import CAUSALLY, Attends, Layout, build_layout, moved

COPIES = 5


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What is to be learnt of B lists of at most N candidates."""

    relevance: Tensor  # [B, N], 0 where there is no candidate
    teacher_scores: Tensor  # [B, N], likewise
    teacher_weight: Tensor  # [B]

    def to(self, device: torch.device) -> Self:
        """The same batch with its tensors on `device`."""
        return moved(self, device)


@dataclass(frozen=True)
class ListBatch(Taught):
    """Lists of one task, laid out for one forward. Of `searches`, nobody knows which passage is the worst."""

    layout: Layout
    searches: bool = False

    @property
    def tokens(self) -> int:
        """Rows of its forward."""
        return len(self.layout.ids)


def shortened(piece: PromptPart, length: int, context: int | None = None) -> tuple[int, ...]:
    """Ids of `piece` with at most `length` body tokens, from the end that matters, and `context` in all."""
    body = piece.body
    if context is not None:
        length = min(length, max(context - len(piece.head) - len(piece.tail), 0))
    if len(body) > length:
        body = body[len(body) - length :] if piece.keep_end else body[:length]
    return piece.head + body + piece.tail


def segments_of(
    prompt_format: PromptFormat,
    cases: Sequence[RankingExample],
    candidate_tokens: int,
    prefix_tokens: int,
    context: int | None = None,
    item_factors: ItemFactors | None = None,
) -> list[Segments]:
    """Tokenises all candidates of all cases in one call; see `shortened`. `item_factors`: see `with_prior`."""
    pieces = iter(prompt_format.candidates([text for case in cases for text in case.candidates], []))
    result = []
    for case in cases:
        template = TEMPLATES[case.task]
        prefix = shortened(
            prompt_format.prefix(template, case.instruction, case.query), prefix_tokens, context
        )
        candidates = tuple(shortened(next(pieces), candidate_tokens, context) for _ in case.candidates)
        suffix = prompt_format.suffix(template, "exclude")
        segments = Segments(prefix, candidates, suffix, search=template.search)
        result.append(with_prior(segments, item_factors, case.query, case.candidates))
    return result


def alive_sets(relevance: Sequence[float], rng: np.random.Generator) -> Tensor:
    """[COPIES, n] bool: all (select), all (exclude), then nested random sets that keep a best candidate.

    The last is without it, as rounds are after a mistake, where at least two others are left.
    """
    n = len(relevance)
    top = max(relevance)
    order = [int(i) for i in rng.permutation(n)]
    best = next(i for i in order if relevance[i] == top)
    rest = [i for i in order if i != best]
    sizes = [n - 1, n - 1, *sorted(map(int, rng.integers(1, max(n, 2), size=COPIES - 2)), reverse=True)]
    alive = torch.zeros(COPIES, n, dtype=torch.bool)
    for row, size in enumerate(sizes):
        alive[row, [best, *rest[:size]]] = True
    if len(rest) >= 2:
        alive[-1] = False
        alive[-1, rest[: int(rng.integers(2, len(rest) + 1))]] = True
    return alive


def training_batch(  # noqa: PLR0913 (what becomes a batch, its three limits and the model's ways)
    prompt_format: PromptFormat,
    examples: Sequence[Example],
    rng: np.random.Generator,
    *,
    candidate_tokens: int,
    prefix_tokens: int,
    budget: int,
    attention: AttentionMode = "block",
    attends: Attends = CAUSALLY,
    item_factors: ItemFactors | None = None,
) -> ListBatch:
    """As many of `examples` as fit `budget` tokens (at least one, or part of one); all of one task.

    Block attention asks about nested random sets, causal attention about what a list begins with.
    """
    cases = [example.ranking for example in examples]
    segments = segments_of(
        prompt_format, cases, candidate_tokens, prefix_tokens, attends.context, item_factors
    )
    segments[0], examples = _first_that_fits(segments[0], examples, budget, attention, rng)
    keep = lists_that_fit(segments, budget, COPIES, attention)
    segments, examples = segments[:keep], examples[:keep]
    template = TEMPLATES[cases[0].task]
    select, exclude = prompt_format.suffix(template, "select"), prompt_format.suffix(template, "exclude")
    suffixes = [[*select, *exclude * (COPIES - 1)]] * keep
    if attention == "block":
        alive = [alive_sets(example.ranking.relevance, rng) for example in examples]
        layout = build_layout(segments, suffixes, alive, attends)
    else:
        sizes = [prefix_sizes(example.ranking.relevance, COPIES, rng) for example in examples]
        layout = build_causal_layout(segments, suffixes, sizes)
    relevance, teacher_scores = torch.zeros(layout.ends.shape), torch.zeros(layout.ends.shape)
    for b, example in enumerate(examples):
        relevance[b, : len(example.teacher_scores)] = torch.tensor(example.ranking.relevance)
        teacher_scores[b, : len(example.teacher_scores)] = torch.from_numpy(example.teacher_scores)
    return ListBatch(
        layout,
        relevance=relevance,
        teacher_scores=teacher_scores,
        teacher_weight=torch.tensor([example.teacher_weight for example in examples]),
        searches=cases[0].task == "passage",
    )


def _first_that_fits(
    segments: Segments,
    examples: Sequence[Example],
    budget: int,
    attention: AttentionMode,
    rng: np.random.Generator,
) -> tuple[Segments, Sequence[Example]]:
    """The first list, which is taken in any case, or a part of it, as segments and before the other examples."""
    kept = candidates_that_fit(
        examples[0].ranking.relevance,
        [len(candidate) for candidate in segments.candidates],
        len(segments.prefix) + COPIES,
        budget,
        rng,
        padded=attention == "block",
    )
    if len(kept) == len(segments.candidates):
        return segments, examples
    fitting = replace(
        segments,
        candidates=tuple(segments.candidates[i] for i in kept),
        prior=tuple(segments.prior[i] for i in kept) if segments.prior else (),
    )
    return fitting, [examples[0].part(kept), *examples[1:]]
