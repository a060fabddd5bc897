"""Many queries in flight together: each step flattens all their work into one forward pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .errors import CapacityError
from .plan import PlanBuilder
from .reading import Ask, Logits, read
from .readout import Readout
from .runner import ModelRunner
from .sessions import Session
from .speculation import Sequential, Speculation


class Episode(Protocol):
    """What decides which questions to ask: a ranking method's state for one query."""

    @property
    def remaining(self) -> int:
        """Rounds still to play, at most; 0 when all is decided."""
        ...

    def asks(self, depth: int) -> list[Ask]:
        """The next question, then up to `depth - 1` guesses at later ones."""
        ...

    def observe(self, asks: Sequence[Ask], logits: Sequence[Logits]) -> int:
        """Takes the verdicts of `asks`; returns how many counted: those before the first wrong guess."""
        ...


@dataclass(slots=True)
class Job:
    """One query on its way through the engine; the counters are its bill."""

    session: Session
    episode: Episode
    speculation: Speculation | Sequential
    passes: int = 0
    tokens_encoded: int = 0
    tokens_naive: int = 0


class Scheduler:
    """Admits jobs in order while their segments fit the KV store and their rows fit a step.

    `readout` must be the one that the jobs' sessions were made for.
    """

    def __init__(self, runner: ModelRunner, readout: Readout, step_rows: int) -> None:
        self._runner, self._readout, self._step_rows = runner, readout, step_rows

    def run(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yields each job (of at least one round) as it finishes, in any order.

        Raises CapacityError when one job alone needs more slots than the store has, FloatingPointError when
        logits are not finite. Whatever is raised, every slot taken is given back.
        """
        waiting, active = deque(jobs), list[Job]()
        try:
            while waiting or active:
                self._admit(waiting, active)
                finished = self._step(active)
                for job in finished:
                    job.session.close()
                active = [job for job in active if job not in finished]
                yield from finished
        finally:
            for job in active:
                job.session.close()

    def _admit(self, waiting: deque[Job], active: list[Job]) -> None:
        rows = 0
        while waiting:
            job, total = waiting[0], self._runner.store.slots
            if job.session.slots > total:
                raise CapacityError(
                    f"this query needs {job.session.slots} KV tokens and the engine has {total}: "
                    "raise max_tokens_in_flight, rank fewer candidates at once, or shorten them"
                )
            if rows and rows + job.session.slots > self._step_rows:
                return
            if not job.session.open():
                return
            rows += job.session.slots
            active.append(waiting.popleft())

    def _step(self, active: list[Job]) -> list[Job]:
        """One forward pass over all active jobs; returns those it finished."""
        builder, asked = PlanBuilder(), list[list[Ask]]()
        for owner, job in enumerate(active):
            asks, before = job.episode.asks(job.speculation.depth(job.episode.remaining)), builder.rows
            job.session.plan(builder, owner, asks)
            job.tokens_encoded += builder.rows - before
            asked.append(asks)
        hidden = self._runner.hidden(builder.build())
        readings = [job.session.reading(hidden) for job in active]
        logits = read(self._readout, hidden, readings, kernels=self._runner.kernels)
        for job, asks, found in zip(active, asked, logits, strict=True):
            self._settle(job, asks, found)
        return [job for job in active if not job.episode.remaining]

    @staticmethod
    def _settle(job: Job, asks: list[Ask], logits: list[Logits]) -> None:
        used = job.episode.observe(asks, logits)
        job.speculation.settle(len(asks), used)
        job.passes += 1
        job.tokens_naive += sum(job.session.naive_tokens(ask) for ask in asks[:used])
