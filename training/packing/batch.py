"""Cases to a packed batch: tokenised pieces cut to training lengths, nested alive sets, targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rranker.data import Case
from rranker.engine.settings import AttentionMode
from rranker.prompts import TEMPLATES, Segments
from rranker.prompts.compact import CompactDialect
from rranker.prompts.segments import Piece
from rranker.training.examples.example import Lesson
from rranker.training.packing.causal import build_causal_layout, prefix_sizes
from rranker.training.packing.layout import Layout, build_layout

COPIES = 5


@dataclass(frozen=True)
class Batch:
    """`grades` and `hints` are [B, N], 0 where there is no candidate; `trust` is [B]."""

    layout: Layout
    grades: Tensor
    hints: Tensor
    trust: Tensor


def cut(piece: Piece, length: int) -> tuple[int, ...]:
    """Ids of `piece` with at most `length` body tokens, from the end that matters."""
    body = piece.body
    if len(body) > length:
        body = body[-length:] if piece.keep_end else body[:length]
    return piece.head + body + piece.tail


def segments_of(
    dialect: CompactDialect, cases: Sequence[Case], candidate_tokens: int, prefix_tokens: int
) -> list[Segments]:
    """Tokenises all candidates of all cases in one call."""
    pieces = iter(dialect.candidates([text for case in cases for text in case.candidates], []))
    result = []
    for case in cases:
        template = TEMPLATES[case.task]
        prefix = cut(dialect.prefix(template, case.instruction, case.query), prefix_tokens)
        candidates = tuple(cut(next(pieces), candidate_tokens) for _ in case.candidates)
        result.append(Segments(prefix, candidates, dialect.suffix(template, "exclude")))
    return result


def alive_sets(grades: Sequence[float], rng: np.random.Generator) -> Tensor:
    """[COPIES, n] bool: all (select), all (exclude), then nested random sets; each keeps a best candidate."""
    n = len(grades)
    top = max(grades)
    order = [int(i) for i in rng.permutation(n)]
    best = next(i for i in order if grades[i] == top)
    rest = [i for i in order if i != best]
    sizes = [n - 1, n - 1, *sorted(map(int, rng.integers(1, max(n, 2), size=COPIES - 2)), reverse=True)]
    alive = torch.zeros(COPIES, n, dtype=torch.bool)
    for row, size in enumerate(sizes):
        alive[row, [best, *rest[:size]]] = True
    return alive


def training_batch(
    dialect: CompactDialect,
    lessons: Sequence[Lesson],
    rng: np.random.Generator,
    *,
    candidate_tokens: int,
    prefix_tokens: int,
    budget: int,
    attention: AttentionMode = "block",
) -> Batch:
    """As many of `lessons` as fit `budget` tokens (at least one); all of one task.

    Block attention asks about nested random sets, causal attention about what a list begins with.
    """
    cases = [lesson.case for lesson in lessons]
    segments = segments_of(dialect, cases, candidate_tokens, prefix_tokens)
    total, keep = 0, 0
    for s in segments:
        total += len(s.prefix) + sum(map(len, s.candidates)) + COPIES
        if keep and total > budget:
            break
        keep += 1
    segments, lessons = segments[:keep], lessons[:keep]
    template = TEMPLATES[cases[0].task]
    select, exclude = dialect.suffix(template, "select"), dialect.suffix(template, "exclude")
    suffixes = [[*select, *exclude * (COPIES - 1)]] * keep
    if attention == "block":
        alive = [alive_sets(lesson.case.grades, rng) for lesson in lessons]
        layout = build_layout(segments, suffixes, alive)
    else:
        sizes = [prefix_sizes(lesson.case.grades, COPIES, rng) for lesson in lessons]
        layout = build_causal_layout(segments, suffixes, sizes)
    grades, hints = torch.zeros(layout.ends.shape), torch.zeros(layout.ends.shape)
    for b, lesson in enumerate(lessons):
        grades[b, : len(lesson.hints)] = torch.tensor(lesson.case.grades)
        hints[b, : len(lesson.hints)] = torch.from_numpy(lesson.hints)
    return Batch(layout, grades, hints, torch.tensor([lesson.trust for lesson in lessons]))
