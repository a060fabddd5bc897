"""From what a method decided, in places of its prompt, to the caller's `Ranking`, in input order."""

from __future__ import annotations

from .engine.requests import Handle
from .methods import Decision
from .prepare import Groups, Prepared
from .types import RankedCandidate, Ranking, Round, Stats

# q = 0 or 1 exactly would let neighbours share a score.
_EDGE = 1e-9


def build_ranking(work: Prepared, handle: Handle | None, seconds: float) -> Ranking:
    """The whole ranking. `handle` None: the engine was not needed."""
    request, items, rounds = work.request, list[RankedCandidate](), list[Round]()
    if work.method is not None:
        outcome = work.method.outcome()
        places = len(outcome.order)
        for above, (place, kept) in enumerate(zip(outcome.order, outcome.kept, strict=True), start=1):
            score = (places - above + min(max(kept, _EDGE), 1 - _EDGE)) / places if places > 1 else 1.0
            for index in work.groups[place]:
                candidate = request.candidates[index]
                rank = len(items) + 1
                items.append(
                    RankedCandidate(rank, index, candidate.id, candidate.text, score, candidate.metadata)
                )
        excludes = work.method.kind == "exclude"
        rounds = [_round(decision, work.groups, excludes) for decision in outcome.decisions]
    stats = _stats(handle, seconds)
    return Ranking(tuple(items), tuple(rounds), stats, work.repairs, work.method_name, request.query_id)


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


def _stats(handle: Handle | None, seconds: float) -> Stats:
    if handle is None or handle.speculation is None:
        return Stats()
    return Stats(
        tokens_naive=handle.tokens_naive,
        tokens_encoded=handle.tokens_encoded,
        forward_passes=handle.passes,
        speculation_hits=handle.speculation.hits,
        speculation_misses=handle.speculation.misses,
        seconds=seconds,
    )
