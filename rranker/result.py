"""From what a method decided, in walking order, to the caller's `Ranking`, in input order."""

from __future__ import annotations

from collections.abc import Sequence

from .engine.scheduler import Job
from .methods import Outcome
from .prompts.assemble import Cut
from .request import Request
from .types import RankedCandidate, Ranking, Repair, Round, Stats

# q = 0 or 1 exactly would let neighbours share a score.
_EDGE = 1e-9


def build_ranking(
    request: Request,
    walk: Sequence[int],
    outcome: Outcome | None,
    job: Job | None,
    seconds: float,
    repairs: Sequence[Repair],
    method: str,
) -> Ranking:
    """`walk[place]` is the input index at that place of the walking order; `outcome` None means no candidates."""
    items, rounds = list[RankedCandidate](), list[Round]()
    if outcome is not None:
        n = len(outcome.order)
        for rank, (place, kept) in enumerate(zip(outcome.order, outcome.kept, strict=True), start=1):
            index = walk[place]
            candidate = request.candidates[index]
            score = (n - rank + min(max(kept, _EDGE), 1 - _EDGE)) / n if n > 1 else 1.0
            items.append(
                RankedCandidate(rank, index, candidate.id, candidate.text, score, candidate.metadata)
            )
        for decision in outcome.decisions:
            alive = tuple(walk[place] for place in decision.alive)
            rounds.append(
                Round(alive, tuple(walk[place] for place in decision.excluded), decision.probabilities)
            )
    stats = Stats()
    if job is not None:
        stats = Stats(
            tokens_naive=job.tokens_naive,
            tokens_encoded=job.tokens_encoded,
            forward_passes=job.passes,
            speculation_hits=job.speculation.hits,
            speculation_misses=job.speculation.misses,
            seconds=seconds,
        )
    return Ranking(tuple(items), tuple(rounds), stats, tuple(repairs), method)


def cut_repairs(cuts: Sequence[Cut]) -> list[Repair]:
    """What truncation did, in words."""
    return [
        Repair(
            "truncated",
            f"{'the history' if cut.index is None else f'candidate {cut.index}'} was cut "
            f"from {cut.before} to {cut.after} tokens",
            cut.index,
        )
        for cut in cuts
    ]


def encoding_repairs(request: Request) -> list[Repair]:
    """Texts that no encoding can hold (lone surrogates): the model reads a question mark in their place."""
    found = []
    query = request.query if isinstance(request.query, str) else "\n".join(request.query)
    for index, text in [(None, query), *((i, c.text) for i, c in enumerate(request.candidates))]:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            what = "the query" if index is None else f"candidate {index}"
            found.append(
                Repair("encoding", f"{what} has characters that are not valid Unicode; read as '?'", index)
            )
    return found
