"""Lists that do not fit, window by window: a scorer around any other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..methods import Episode, Greedy, Outcome, Windows
from ..ordering import canonical_order
from ..prompts.segments import POINTWISE
from ..prompts.too_many import TooManyError
from ..request import Request
from ..types import Repair
from .protocol import Groups, Job, groups_of, texts_of
from .wrapper import Wrapper, add_new, moved, sum_of


@dataclass(slots=True, eq=False)
class WindowedJob(Job):
    """A request whose list is ranked in windows. `parts`: the jobs of the present stage, one a window."""

    why: str = ""
    parts: list[Job] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)  # of each part, how many rounds are known
    scores: dict[int, float] = field(default_factory=dict)  # what calibration takes, by place

    @property
    def windows(self) -> Windows:
        """Its player."""
        assert isinstance(self.player, Windows)
        return self.player


class WindowedScorer(Wrapper):
    """Has a scorer rank windows of lists that it refuses as too long, or that are longer than `Request.window`.

    See `Windows` for who meets whom. Candidates are dealt in canonical order, so the order they came in matters no more
    than it does to the scorer.
    """

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`."""
        groups = groups_of(request)
        alone = method.kind in POINTWISE
        if request.window is not None and len(groups) > request.window and not alone:
            why = f"{len(groups)} candidates are more than the window of {request.window}"
            return self._in_windows(request, method, groups, request.window, why)
        try:
            return self._scorer.prepare(request, method)
        except TooManyError as error:
            if not 2 <= error.most < len(groups):
                raise
            return self._in_windows(request, method, groups, error.most, str(error))

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`. A stage of all jobs is played together, before the next."""
        owners, stage = dict[int, tuple[WindowedJob, int]](), list[Job]()

        def enlist(job: Job) -> None:
            if not isinstance(job, WindowedJob):
                stage.append(job)
                return
            owners.update({id(part): (job, index) for index, part in enumerate(job.parts)})
            stage.extend(job.parts)

        for job in jobs:
            enlist(job)
        while stage:
            playing, stage = stage, []
            with closing(self._scorer.play(playing)) as steps:
                for played in steps:
                    if played is None or id(played) not in owners:
                        yield played
                        continue
                    owner, index = owners[id(played)]
                    # The others were heard with the last of a stage, or one of them has failed.
                    if owner.done or played not in owner.parts:
                        continue
                    ended = all(part.done for part in owner.parts)
                    for heard in range(len(owner.parts)) if ended else (index,):
                        self._hear(owner, heard)
                    if ended and not owner.done:
                        self._end_stage(owner)
                        if not owner.done:
                            enlist(owner)
                    yield owner

    def _in_windows(
        self, request: Request, method: type[Episode], groups: Groups, window: int, why: str
    ) -> WindowedJob:
        layout = tuple(canonical_order(texts_of(request, groups)))
        player = Windows(method, layout=layout, window=window, top_k=request.top_k)
        job = WindowedJob(request, method, groups, player, why=why)
        try:
            self._begin_stage(job)
        except TooManyError as error:
            if not 2 <= error.most < window:
                raise
            return self._in_windows(request, method, groups, error.most, str(error))
        if method.kind in POINTWISE and not all(isinstance(part.player, Greedy) for part in job.parts):
            raise TooManyError(why)  # without logits, nothing compares across windows
        job.calibration = job.parts[0].calibration
        return job

    def _begin_stage(self, job: WindowedJob) -> None:
        windows, request = job.windows, job.request
        first, last = not windows.stages, len(windows.windows) == 1
        job.parts, job.heard = [], [0] * len(windows.windows)
        for window in windows.windows:
            part = replace(
                request,
                candidates=tuple(request.candidates[job.groups[place][0]] for place in window),
                top_k=request.top_k if last else windows.going_on(window),
                relevance=request.relevance if first else False,
                threshold=None,
                window=None,
            )
            try:
                job.parts.append(self._scorer.prepare(part, job.method))
            except TooManyError:
                raise
            except ValueError as error:
                indices = [job.groups[place][0] for place in window]
                error.add_note(f"in a window; its candidates 0, 1, … are those of the input at {indices}")
                raise

    def _hear(self, job: WindowedJob, index: int) -> None:
        """Takes what is new of a window."""
        part = job.parts[index]
        if part.player is not None:
            for decision in part.player.decisions[job.heard[index] :]:
                local = replace(
                    decision,
                    asked=tuple(part.groups[place][0] for place in decision.asked),
                    named=tuple(part.groups[place][0] for place in decision.named),
                )
                job.windows.decide(index, local)
                job.heard[index] += 1
        if part.error is not None and part.done:
            job.error = part.error

    def _end_stage(self, job: WindowedJob) -> None:
        windows = job.windows
        outcomes, logits = list[Outcome](), list[NDArray[np.float64]]()
        for window, part in zip(windows.windows, job.parts, strict=True):
            assert part.player is not None
            inner = part.player.outcome()
            outcomes.append(replace(inner, order=tuple(part.groups[place][0] for place in inner.order)))
            if isinstance(part.player, Greedy):
                logits.append(np.empty(len(window)))
                logits[-1][[group[0] for group in part.groups]] = part.player.latest
            for group, score in zip(part.groups, part.pointwise_scores, strict=False):
                job.scores[window[group[0]]] = score
            found = moved(part.repairs, [job.groups[place][0] for place in window])
            add_new(job.repairs, found)
        job.stats = sum_of([job.stats, *(part.stats for part in job.parts)])
        windows.end_stage(outcomes, logits)
        if windows.remaining:
            try:
                self._begin_stage(job)
            except Exception as error:
                job.error = error
            return
        job.pointwise_scores = [job.scores[place] for place in range(len(job.scores))]
        job.repairs.append(Repair("windowed", _told(job)))


def _told(job: WindowedJob) -> str:
    windows, top_k = job.windows, job.request.top_k
    stages = "1 stage" if windows.stages == 1 else f"{windows.stages} stages"
    told = f"ranked in {windows.windows_played} windows in {stages}, because {job.why}"
    if top_k is None or windows.certified:
        return told
    return f"{told}; the best {top_k} may have met too early: a window of {2 * top_k} would rule that out"
