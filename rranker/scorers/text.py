"""Scorers that answer in text: each answer is read by the permutation parser, and repaired where it must be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from ..methods import Episode
from ..methods.answered import Answered
from ..ordering import distinct
from ..permutations import parse, parse_choice
from ..prompts.segments import Kind
from ..request import Request
from ..types import Repair
from .protocol import Job


@dataclass(frozen=True, slots=True)
class TextQuestion:
    """What is asked: about `texts`, numbered from 1; for one name (`kind` says which), or for all in order.

    `wants_order`: the answer should rank all of them, best first.
    """

    request: Request
    texts: tuple[str, ...]
    kind: Kind
    wants_order: bool


class TextScorer(ABC):
    """A scorer whose answers are words; see `Scorer`. A subclass says how a question is put, in `complete`.

    Whatever comes back, the ranking is a full permutation: what is missing from an order is appended, and an answer
    that names nobody counts for the one who stands last in the prompt (first, where the best is asked for). Each such
    repair is reported with its round.
    """

    _closed = False

    @abstractmethod
    def complete(self, questions: Sequence[TextQuestion]) -> Sequence[str | Exception]:
        """One answer a question, in their order; an exception in place of an answer fails that query only."""

    def default_method(self, request: Request) -> str:
        """See `Scorer.default_method`."""
        return "iranker"

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`."""
        groups = tuple(distinct([candidate.text for candidate in request.candidates]))
        player = Answered(method(len(groups), top_k=request.top_k)) if groups else None
        return Job(request, method, groups, player)

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`. One question of every job a round."""
        active = list(jobs)
        rounds = 0
        while active:
            yield from active
            active = [job for job in active if not job.done]
            if not active:
                return
            yield None
            rounds += 1
            answers = self.complete([_question(job) for job in active])
            if len(answers) != len(active):
                raise ValueError(f"{len(answers)} answers came back for {len(active)} questions")
            for job, answer in zip(active, answers, strict=True):
                if isinstance(answer, Exception):
                    job.error = answer
                else:
                    _observe(job, answer, rounds)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Nothing to free here."""
        self._closed = True


def _player(job: Job) -> Answered:
    assert isinstance(job.player, Answered)
    return job.player


def _question(job: Job) -> TextQuestion:
    player = _player(job)
    texts = tuple(job.request.candidates[job.groups[place][0]].text for place in player.asked)
    return TextQuestion(job.request, texts, player.kind, player.wants_order)


def _observe(job: Job, answer: str, round_number: int) -> None:
    player, question = _player(job), _question(job)
    asked, n = player.asked, len(player.asked)
    if question.wants_order:
        parsed = parse(answer, n, candidates=question.texts)
        named: Sequence[int] = parsed.order
        repairs = parsed.repairs
    else:
        choice, found = parse_choice(answer, n, candidates=question.texts)
        repairs = tuple(
            repair for repair in found if repair.kind != "prose"
        )  # a sentence around a name is no fault
        if choice is None:
            choice = n - 1 if question.kind == "exclude" else 0
            repairs = (Repair("unparsed", f"the answer names nobody; candidate {choice} was taken", choice),)
        named = [choice]
    for repair in repairs:
        index = None if repair.index is None else job.groups[asked[repair.index]][0]
        where = f"round {round_number}, where candidates are counted from 0 as that round showed them"
        job.repairs.append(replace(repair, message=f"{where}: {repair.message}", index=index))
    player.observe([asked[place] for place in named])
