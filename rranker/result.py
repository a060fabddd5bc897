"""From what a method decided, in places of its layout, to the caller's `Ranking`, in input order."""

from __future__ import annotations

from collections.abc import Sequence

from .engine.requests import Handle
from .methods import Decision, Outcome
from .prompts.assemble import Cut
from .request import Request
from .types import RankedCandidate, Ranking, Repair, Round, Stats

# q = 0 or 1 exactly would let neighbours share a score.
_EDGE = 1e-9
Groups = Sequence[tuple[int, ...]]
"""The input indices at each place of the layout: candidates with the same text share one."""


def build_ranking(
    request: Request,
    groups: Groups,
    outcome: Outcome | None,
    handle: Handle | None,
    seconds: float,
    repairs: Sequence[Repair],
    method: str,
) -> Ranking:
    """The whole ranking. `outcome` None means no candidates, `handle` None that the engine was not needed."""
    items, rounds = list[RankedCandidate](), list[Round]()
    if outcome is not None:
        places = len(outcome.order)
        for above, (place, kept) in enumerate(zip(outcome.order, outcome.kept, strict=True), start=1):
            score = (places - above + min(max(kept, _EDGE), 1 - _EDGE)) / places if places > 1 else 1.0
            for index in groups[place]:
                candidate = request.candidates[index]
                rank = len(items) + 1
                items.append(
                    RankedCandidate(rank, index, candidate.id, candidate.text, score, candidate.metadata)
                )
        rounds = [_round(decision, groups) for decision in outcome.decisions]
    return Ranking(
        tuple(items), tuple(rounds), _stats(handle, seconds), tuple(repairs), method, request.query_id
    )


def _round(decision: Decision, groups: Groups) -> Round:
    """Candidates with the same text leave together, and share the probability of being named."""
    alive, probabilities = list[int](), list[float]()
    for place, probability in zip(decision.alive, decision.probabilities, strict=True):
        alive += groups[place]
        probabilities += [probability / len(groups[place])] * len(groups[place])
    # Worst first: of equal ones, the later is the lower.
    excluded = [index for place in decision.excluded for index in reversed(groups[place])]
    return Round(tuple(alive), tuple(excluded), tuple(probabilities))


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


def cut_repairs(cuts: Sequence[Cut], groups: Groups) -> list[Repair]:
    """What truncation did, in words; a text that several candidates share was cut for each of them."""
    group = {indices[0]: indices for indices in groups}
    repairs = []
    for cut in cuts:
        for index in [None] if cut.index is None else group[cut.index]:
            what = "the history" if index is None else f"candidate {index}"
            repairs.append(
                Repair("truncated", f"{what} was cut from {cut.before} to {cut.after} tokens", index)
            )
    return repairs


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
