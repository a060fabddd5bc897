"""The same candidates ranked in several layouts, and the rankings averaged: a scorer around any other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from ..methods import Decision, Episode, Outcome
from ..methods.consensus import Consensus
from ..ordering import canonical_order
from ..prompts.segments import POINTWISE
from ..request import Request
from .protocol import Job, groups_of, texts_of
from .wrapper import Wrapper, add_new, moved, sum_of


@dataclass(slots=True, eq=False)
class ConsistentJob(Job):
    """A request that is ranked in several layouts, a job each; `layouts`: the places in the order of each of them."""

    runs: list[Job] = field(default_factory=list)
    layouts: list[list[int]] = field(default_factory=list)
    heard: int = 0  # rounds of the first run that are known


class ConsistentScorer(Wrapper):
    """With `self_consistency=r`, has a scorer rank in r layouts, the first of them the usual one; else passes on.

    Another layout is another order in the prompt, and with it another identifier for each candidate. Where candidates
    are asked about alone there is nothing to lay out.
    """

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`."""
        groups = groups_of(request)
        if request.self_consistency is None or method.kind in POINTWISE or len(groups) < 2:
            return self._scorer.prepare(request, method)
        texts = texts_of(request, groups)
        job = ConsistentJob(request, method, groups, Consensus(method(len(groups))))
        for number in range(request.self_consistency):
            layout = canonical_order(texts, number) if number else list(range(len(texts)))
            run = replace(
                request,
                candidates=tuple(request.candidates[groups[place][0]] for place in layout),
                layout=number,
                relevance=False if number else request.relevance,
                threshold=None,
                self_consistency=None,
            )
            job.layouts.append(layout)
            job.runs.append(self._scorer.prepare(run, method))
        job.calibration = job.runs[0].calibration
        return job

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`. All layouts of all jobs are played together."""
        owners = {id(run): job for job in jobs if isinstance(job, ConsistentJob) for run in job.runs}
        inner = [run for job in jobs for run in (job.runs if isinstance(job, ConsistentJob) else [job])]
        with closing(self._scorer.play(inner)) as steps:
            for played in steps:
                if played is None or id(played) not in owners:
                    yield played
                elif not (owner := owners[id(played)]).done:
                    _hear(owner)
                    yield owner


def _hear(job: ConsistentJob) -> None:
    """Takes what is new of the first run; with the last one done, the ranking."""
    first, layout = job.runs[0], job.layouts[0]
    assert isinstance(job.player, Consensus)
    if first.player is not None:
        for decision in first.player.decisions[job.heard :]:
            job.player.decide(_placed(decision, first, layout))
            job.heard += 1
    job.error = next((run.error for run in job.runs if run.done and run.error is not None), None)
    if job.error is not None or not all(run.done for run in job.runs):
        return
    outcomes = list[Outcome]()
    for run, places in zip(job.runs, job.layouts, strict=True):
        assert run.player is not None
        outcome = run.player.outcome()
        outcomes.append(
            replace(outcome, order=tuple(places[run.groups[place][0]] for place in outcome.order))
        )
        found = moved(run.repairs, [job.groups[place][0] for place in places])
        add_new(job.repairs, found)
    job.stats = sum_of(run.stats for run in job.runs)
    job.spans = {layout[first.groups[place][0]]: span for place, span in first.spans.items()}
    if first.calibration is not None:
        scores = {layout[g[0]]: score for g, score in zip(first.groups, first.pointwise_scores, strict=True)}
        job.pointwise_scores = [scores[place] for place in range(len(scores))]
    job.player.end(outcomes)


def _placed(decision: Decision, run: Job, layout: Sequence[int]) -> Decision:
    """A round of a run, by the places of the whole."""
    asked = tuple(layout[run.groups[place][0]] for place in decision.asked)
    return replace(
        decision, asked=asked, named=tuple(layout[run.groups[place][0]] for place in decision.named)
    )
