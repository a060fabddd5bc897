"""From what a method decided, in places of its prompt, to the caller's `Ranking`, in input order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .calibration import non_increasing
from .methods import Decision
from .scorers import Job
from .scorers.protocol import Groups
from .types import RankedCandidate, Ranking, Round

# q = 0 or 1 exactly would let neighbours share a score.
_EDGE = 1e-9


def new_rounds(job: Job, known: int) -> list[Round]:
    """The rounds that a job has played, after the first `known` ones."""
    if job.player is None:
        return []
    excludes = job.player.kind == "exclude"
    return [_round(decision, job.groups, excludes) for decision in job.player.decisions[known:]]


def build_ranking(job: Job, rounds: Sequence[Round], seconds: float) -> Ranking:
    """The whole ranking of a job that is done, and all of its rounds; `seconds` of wall time went into its batch."""
    request, items = job.request, list[RankedCandidate]()
    if job.player is not None:
        outcome = job.player.outcome()
        places, relevance = len(outcome.order), _relevance(job, outcome.order)
        for above, (place, kept) in enumerate(zip(outcome.order, outcome.kept, strict=True), start=1):
            score = (places - above + min(max(kept, _EDGE), 1 - _EDGE)) / places if places > 1 else 1.0
            for index in job.groups[place]:
                candidate = request.candidates[index]
                rank = len(items) + 1
                known = candidate.id, candidate.text, score, candidate.metadata, relevance[above - 1]
                items.append(RankedCandidate(rank, index, *known, job.spans.get(place)))
    stats = replace(job.stats, seconds=seconds) if rounds or job.stats.forward_passes else job.stats
    repairs, name = tuple(job.repairs), job.method.name
    return Ranking(
        tuple(items), tuple(rounds), stats, repairs, name, request.query_id, threshold=request.threshold
    )


def _relevance(job: Job, order: Sequence[int]) -> list[float] | list[None]:
    """Of each place in ranking order. Monotone along it, so that a cut keeps the beginning of the ranking."""
    if job.calibration is None:
        return [None] * len(order)
    return non_increasing([job.calibration.probability(job.pointwise_scores[place]) for place in order])


def _round(decision: Decision, groups: Groups, excludes: bool) -> Round:
    """Candidates with the same text are named together, and share the probability of it."""
    alive, probabilities = list[int](), list[float]()
    for place, probability in zip(decision.asked, decision.probabilities, strict=True):
        alive += groups[place]
        probabilities += [probability / len(groups[place])] * len(groups[place])
    if excludes:  # worst first: of equal ones, the later is the lower
        gone = tuple(index for place in decision.named for index in reversed(groups[place]))
        return Round(tuple(alive), gone, tuple(probabilities), decision.thought)
    best = tuple(index for place in decision.named for index in groups[place])
    return Round(tuple(alive), (), tuple(probabilities), decision.thought, best)
