"""Cases to a packed batch: tokenised pieces cut to training lengths, nested alive sets, targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rranker.data import Case
from rranker.prompts import TEMPLATES, Segments
from rranker.prompts.compact import CompactDialect
from rranker.prompts.segments import Piece
from rranker.training.layout import Layout, build_layout

COPIES = 5


@dataclass(frozen=True)
class Batch:
    """`grades` is [B, N], 0 where there is no candidate."""

    task: str
    layout: Layout
    grades: Tensor


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
    """[COPIES, n] bool: all (select), all (exclude), then nested random sets; each keeps a best candidate.

    Several best ones take turns, one a copy, so that a list with k of them teaches k times over.
    """
    n = len(grades)
    top = max(grades)
    order = [int(i) for i in rng.permutation(n)]
    best = [i for i in order if grades[i] == top]
    one_by_one = len(best) > 1 and min(grades) == 0 and len(best) < n
    rest = [i for i in order if i not in best] if one_by_one else [i for i in order if i != best[0]]
    full = COPIES if one_by_one else 2
    sizes = [len(rest)] * min(full, 4)
    sizes += sorted(map(int, rng.integers(1, len(rest) + 1, size=COPIES - len(sizes))), reverse=True)
    alive = torch.zeros(COPIES, n, dtype=torch.bool)
    for row, size in enumerate(sizes):
        gold = best[row % len(best)] if one_by_one else best[0]
        alive[row, [gold, *rest[:size]]] = True
    return alive


def training_batch(
    dialect: CompactDialect,
    cases: Sequence[Case],
    rng: np.random.Generator,
    *,
    candidate_tokens: int,
    prefix_tokens: int,
    budget: int,
) -> Batch:
    """As many of `cases` as fit `budget` tokens (at least one)."""
    segments = segments_of(dialect, cases, candidate_tokens, prefix_tokens)
    total, keep = 0, 0
    for s in segments:
        total += len(s.prefix) + sum(map(len, s.candidates)) + COPIES
        if keep and total > budget:
            break
        keep += 1
    segments, cases = segments[:keep], cases[:keep]
    template = TEMPLATES[cases[0].task]
    select, exclude = dialect.suffix(template, "select"), dialect.suffix(template, "exclude")
    alive = [alive_sets(case.grades, rng) for case in cases]
    layout = build_layout(segments, [[*select, *exclude * (COPIES - 1)]] * keep, alive)
    grades = torch.zeros(layout.ends.shape)
    for b, case in enumerate(cases):
        grades[b, : len(case.grades)] = torch.tensor(case.grades)
    return Batch(cases[0].task, layout, grades)
