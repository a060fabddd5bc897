"""Rankings by the training model's own forward: what the tables use when the engine is not asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rranker.data import Case
from rranker.prompts import TEMPLATES, Segments
from rranker.prompts.compact import CompactDialect
from rranker.training.batch import segments_of
from rranker.training.layout import build_layout
from rranker.training.model import RankingModel

Scorer = Callable[[Sequence[Case]], list[list[int]]]
"""Cases to orders: each order lists the candidates' indices, best first."""

CANDIDATE_TOKENS, PREFIX_TOKENS = 254, 1024


@torch.no_grad()
def _fitness(
    model: RankingModel, segments: list[Segments], suffix: int, alive: list[torch.Tensor]
) -> torch.Tensor:
    """[B, S, N] under the given alive sets."""
    copies = [[suffix] * mask.shape[0] for mask in alive]
    layout = build_layout(segments, copies, alive)
    return model.fitness(model.hidden(layout), layout)


def one_shot(model: RankingModel, dialect: CompactDialect, batch: int = 8) -> Scorer:
    """DRanker: `<|select|>` once over all candidates."""

    def score(cases: Sequence[Case]) -> list[list[int]]:
        orders = []
        for at in range(0, len(cases), batch):
            part = cases[at : at + batch]
            segments = segments_of(dialect, part, CANDIDATE_TOKENS, PREFIX_TOKENS)
            alive = [torch.ones(1, len(case.candidates), dtype=torch.bool) for case in part]
            suffix = dialect.suffix(TEMPLATES[part[0].task], "select")[0]
            for case, row in zip(part, _fitness(model, segments, suffix, alive)[:, 0], strict=True):
                orders.append((-row[: len(case.candidates)]).argsort(stable=True).tolist())
        return orders

    return score


def elimination(model: RankingModel, dialect: CompactDialect) -> Scorer:
    """IRanker: n-1 rounds. Guessed rounds share a pass, and only verdicts on true alive sets count."""

    def score(cases: Sequence[Case]) -> list[list[int]]:
        return [_eliminate(model, dialect, case) for case in cases]

    return score


def _eliminate(model: RankingModel, dialect: CompactDialect, case: Case) -> list[int]:
    segments = segments_of(dialect, [case], CANDIDATE_TOKENS, PREFIX_TOKENS)
    suffix = dialect.suffix(TEMPLATES[case.task], "exclude")[0]
    alive = list(range(len(case.candidates)))
    gone: list[int] = []
    guess: list[int] = []  # who goes in the coming rounds, if nothing changes
    while len(alive) > 1:
        masks = [_mask(alive, guess[:k], len(case.candidates)) for k in range(max(1, len(alive) - 1))]
        masks = masks[: 1 + len(guess)]
        fitness = _fitness(model, segments, suffix, [torch.stack(masks)])[0]
        for k, row in enumerate(fitness):
            worst = min(alive, key=lambda i, row=row: float(row[i]))
            gone.append(worst)
            alive.remove(worst)
            if len(alive) == 1 or k >= len(guess) or worst != guess[k]:
                guess = sorted(alive, key=lambda i, row=row: float(row[i]))[:-1]
                break
        else:
            guess = []
    return alive + gone[::-1]


def _mask(alive: list[int], without: list[int], n: int) -> torch.Tensor:
    mask = torch.zeros(n, dtype=torch.bool)
    mask[[i for i in alive if i not in without]] = True
    return mask
