"""Scorers that answer in text: each answer is read by the permutation parser, and repaired where it must be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence

from ..methods import Episode
from ..request import Request
from .answers import TextQuestion as TextQuestion
from .answers import answered_job, observe_answer, question_of
from .protocol import Job


class TextScorer(ABC):
    """A scorer whose answers are words; see `Scorer`. A subclass says how a question is put, in `complete`.

    Whatever comes back, the ranking is a full permutation: what is missing from an order is appended, and an answer
    that names nobody counts for the one who stands last in the prompt (first, where the best is asked for). Each such
    repair is reported with its round.
    """

    _closed = False

    @abstractmethod
    def complete(self, questions: Sequence[TextQuestion]) -> Sequence[str | Exception]:
        """One answer a question, in their order; an exception in place of an answer fails that query only.

        What it raises fails all queries that it was asked about; those that are done keep their rankings.
        """

    def default_method(self, request: Request) -> str:
        """See `Scorer.default_method`."""
        return "iranker"

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`."""
        return answered_job(request, method)

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`. One question of every job a round."""
        active = list(jobs)
        while active:
            yield from active
            active = [job for job in active if not job.done]
            if not active:
                return
            yield None
            for job, answer in zip(active, self._answers(active), strict=True):
                try:
                    if isinstance(answer, Exception):
                        raise answer
                    observe_answer(job, answer)
                except Exception as error:
                    job.error = error

    def _answers(self, jobs: Sequence[Job]) -> Sequence[str | Exception]:
        """One for each job; where they could not be had, each is the error that says why."""
        try:
            answers = self.complete([question_of(job) for job in jobs])
            if len(answers) != len(jobs):
                raise ValueError(f"{len(answers)} answers came back for {len(jobs)} questions")
        except Exception as error:
            return [error] * len(jobs)
        return answers

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Nothing to free here."""
        self._closed = True
