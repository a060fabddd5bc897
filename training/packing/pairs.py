"""Queries and texts that do not see each other: every pair's fitness from two forwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rranker.prompts import TEMPLATES
from rranker.prompts.assemble import PromptFormat
from rranker.training.examples.example import Pairs
from rranker.training.packing.batch import Taught, shortened
from rranker.training.packing.layout import Attends, Layout, build_text_layout


@dataclass(frozen=True)
class PairBatch(Taught):
    """B queries and M texts, each alone. Teachers' scores are -∞ where a text is no candidate of the query."""

    queries: Layout
    texts: Layout

    @property
    def tokens(self) -> int:
        """Rows of both forwards."""
        return len(self.queries.ids) + len(self.texts.ids)


def pair_batch(
    prompt_format: PromptFormat, pairs: Pairs, *, candidate_tokens: int, prefix_tokens: int, attends: Attends
) -> PairBatch:
    """Laid out as prefixes and candidates are, cut to these lengths."""
    template = TEMPLATES[pairs.task]
    prefixes = [
        shortened(prompt_format.prefix(template, None, query), prefix_tokens, attends.context)
        for query in pairs.queries
    ]
    pieces: Sequence[tuple[int, ...]] = [
        shortened(piece, candidate_tokens, attends.context)
        for piece in prompt_format.candidates(list(pairs.texts), [])
    ]
    return PairBatch(
        build_text_layout(prefixes, attends, search=template.search),
        build_text_layout(pieces, attends),
        relevance=torch.from_numpy(pairs.relevance).float(),
        teacher_scores=torch.from_numpy(pairs.teacher_scores).float(),
        teacher_weight=torch.full((len(prefixes),), pairs.teacher_weight),
    )
