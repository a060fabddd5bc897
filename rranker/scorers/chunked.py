"""Documents that are longer than a candidate may be, ranked by their parts: a scorer around any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby

from ..methods import Episode
from ..methods.parts import Parts
from ..prompts.spans import Span
from ..request import Request
from ..types import Candidate, Repair
from .protocol import Job, groups_of, texts_of
from .wrapper import Wrapper, add_new, moved


@dataclass(slots=True, eq=False)
class ChunkedJob(Job):
    """A request whose documents are ranked by their parts, in the job `inner`; `cuts`: where each part lies."""

    inner: Job | None = None
    cuts: Sequence[Span] = ()
    owners: Sequence[int] = ()  # the place of each part's document
    heard: int = 0  # rounds of `inner` that are known


class ChunkedScorer(Wrapper):
    """With `long_text="chunk"`, has a scorer rank the parts of documents that are too long for it; else passes on."""

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`."""
        if request.long_text != "chunk" or not request.candidates:
            return self._scorer.prepare(request, method)
        groups = groups_of(request)
        texts = texts_of(request, groups)
        cuts, owners = list[Span](), list[int]()
        for place, found in enumerate(self.spans(texts)):
            cuts += found
            owners += [place] * len(found)
        if len(cuts) == len(texts):
            return self._scorer.prepare(request, method)
        parts = tuple(
            Candidate(texts[place][begin:end]) for place, (begin, end) in zip(owners, cuts, strict=True)
        )
        top_k = _parts_that_matter(request, [len(list(found)) for _, found in groupby(owners)])
        inner = self._scorer.prepare(replace(request, candidates=parts, top_k=top_k, threshold=None), method)
        job = ChunkedJob(
            request,
            method,
            groups,
            Parts(method, owners, request.aggregate),
            inner=inner,
            cuts=cuts,
            owners=owners,
        )
        job.calibration = inner.calibration
        return job

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`."""
        owners = {id(job.inner): job for job in jobs if isinstance(job, ChunkedJob)}
        inner = [job.inner if isinstance(job, ChunkedJob) and job.inner is not None else job for job in jobs]
        with closing(self._scorer.play(inner)) as steps:
            for played in steps:
                if played is None or id(played) not in owners:
                    yield played
                    continue
                _hear(owners[id(played)], played)
                yield owners[id(played)]


def _parts_that_matter(request: Request, counts: Sequence[int]) -> int | None:
    """How many of the best parts are sure to be of `top_k` documents, of which `counts` says how many parts each has.

    None is all: where nobody asks for the best few, or a document's worst part counts as much as its best.
    """
    if request.top_k is None or request.aggregate == "mean":
        return None
    # Before the last of them, the others may take a place with each of their parts.
    needed = 1 + sum(sorted(counts, reverse=True)[: request.top_k - 1])
    return needed if needed < sum(counts) else None


def _hear(job: ChunkedJob, inner: Job) -> None:
    """Takes what is new of the parts."""
    if not inner.done:
        _decide(job, inner)
        return
    job.stats, job.error = inner.stats, inner.error
    indices = [job.groups[place][0] for place in job.owners]
    add_new(job.repairs, moved(inner.repairs, indices))
    if inner.error is not None:
        return
    _decide(job, inner)
    assert inner.player is not None
    assert isinstance(job.player, Parts)
    outcome = inner.player.outcome()
    job.player.end([inner.groups[place] for place in outcome.order], outcome.kept)
    job.spans = {place: job.cuts[part] for place, part in enumerate(job.player.best)}
    counts = Counter(job.owners)
    for place, group in enumerate(job.groups):
        if (count := counts[place]) > 1:
            job.repairs += [
                Repair("chunked", f"candidate {index} was ranked by {count} parts", index) for index in group
            ]
    if inner.calibration is not None:
        scores: list[list[float]] = [[] for _ in job.groups]
        for group, score in zip(inner.groups, inner.pointwise_scores, strict=True):
            for part in group:
                scores[job.owners[part]].append(score)
        mean = job.request.aggregate == "mean"
        job.pointwise_scores = [sum(found) / len(found) if mean else max(found) for found in scores]


def _decide(job: ChunkedJob, inner: Job) -> None:
    assert isinstance(job.player, Parts)
    assert inner.player is not None
    for decision in inner.player.decisions[job.heard :]:
        named = [part for place in decision.named for part in inner.groups[place]]
        asked, chances = list[int](), list[float]()
        for place, probability in zip(decision.asked, decision.probabilities, strict=True):
            asked += inner.groups[place]
            chances += [probability / len(inner.groups[place])] * len(inner.groups[place])
        parts = replace(decision, asked=tuple(asked), named=tuple(named), probabilities=tuple(chances))
        job.player.decide(parts)
        job.heard += 1
