"""From what a method decided, in places of its prompt, to the caller's `Ranking`, in input order."""

from __future__ import annotations

from dataclasses import replace

from .methods import Decision
from .scorers import Job
from .scorers.protocol import Groups
from .types import RankedCandidate, Ranking, Round

# q = 0 or 1 exactly would let neighbours share a score.
_EDGE = 1e-9


def build_ranking(job: Job, seconds: float) -> Ranking:
    """The whole ranking of a job that is done; `seconds` of wall time went into its batch."""
    request, items, rounds = job.request, list[RankedCandidate](), list[Round]()
    if job.player is not None:
        outcome = job.player.outcome()
        places = len(outcome.order)
        for above, (place, kept) in enumerate(zip(outcome.order, outcome.kept, strict=True), start=1):
            score = (places - above + min(max(kept, _EDGE), 1 - _EDGE)) / places if places > 1 else 1.0
            for index in job.groups[place]:
                candidate = request.candidates[index]
                rank = len(items) + 1
                items.append(
                    RankedCandidate(rank, index, candidate.id, candidate.text, score, candidate.metadata)
                )
        excludes = job.player.kind == "exclude"
        rounds = [_round(decision, job.groups, excludes) for decision in outcome.decisions]
    stats = replace(job.stats, seconds=seconds) if rounds else job.stats
    repairs = tuple(job.repairs)
    return Ranking(tuple(items), tuple(rounds), stats, repairs, job.method.name, request.query_id)


def _round(decision: Decision, groups: Groups, excludes: bool) -> Round:
    """Candidates with the same text are named together, and share the probability of it."""
    alive, probabilities = list[int](), list[float]()
    for place, probability in zip(decision.asked, decision.probabilities, strict=True):
        alive += groups[place]
        probabilities += [probability / len(groups[place])] * len(groups[place])
    if excludes:  # worst first: of equal ones, the later is the lower
        gone = tuple(index for place in decision.named for index in reversed(groups[place]))
        return Round(tuple(alive), gone, tuple(probabilities))
    best = tuple(index for place in decision.named for index in groups[place])
    return Round(tuple(alive), (), tuple(probabilities), selected=best)
