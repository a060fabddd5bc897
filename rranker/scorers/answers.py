"""Answers in words: what is asked of whoever answers, and what the answer does, with everything that was repaired."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..methods import Answered, Episode
from ..permutations import parse, parse_choice
from ..prompts.segments import POINTWISE, Kind
from ..request import Request
from ..types import Repair
from .protocol import Job, groups_of


@dataclass(frozen=True, slots=True)
class TextQuestion:
    """What is asked: about `texts`, numbered from 1; for one name (`kind` says which), or for all in order.

    `wants_order`: the answer should rank all of them, best first.
    """

    request: Request
    texts: tuple[str, ...]
    kind: Kind
    wants_order: bool


def answered_job(request: Request, method: type[Episode]) -> Job:
    """A job that is answered in words. Raises ValueError for a method that asks about each candidate alone."""
    if method.kind in POINTWISE:
        raise ValueError(
            f"{method.name} asks about each candidate alone, and answers in words are about lists: use another method, "
            "such as dranker"
        )
    groups = groups_of(request)
    player = Answered(method(len(groups), top_k=request.top_k)) if groups else None
    return Job(request, method, groups, player)


def player_of(job: Job) -> Answered:
    """The player of a job that is answered in words."""
    assert isinstance(job.player, Answered)
    return job.player


def question_of(job: Job) -> TextQuestion:
    """What its player wants to know next."""
    player = player_of(job)
    texts = tuple(job.request.candidates[job.groups[place][0]].text for place in player.asked)
    return TextQuestion(job.request, texts, player.kind, player.wants_order)


_CLAUSE = re.compile(r"(?<=[.;,!])\s+|\n+")
_SAYS = {
    "select": re.compile(r"\b(best|most)\b", re.IGNORECASE),
    "exclude": re.compile(r"\b(worst|least)\b", re.IGNORECASE),
}


def concerning(answer: str, kind: Kind) -> str:
    """Of an answer that says who is best and who is worst: the clauses about what was asked. Any other: all of it."""
    if not isinstance(answer, str):
        return answer  # the parser says what is wrong with it
    clauses = _CLAUSE.split(answer)
    best, worst = ([bool(_SAYS[name].search(clause)) for clause in clauses] for name in ("select", "exclude"))
    mine, others = (worst, best) if kind == "exclude" else (best, worst)
    told = [clause for clause, own, other in zip(clauses, mine, others, strict=True) if own and not other]
    apart = any(other and not own for own, other in zip(mine, others, strict=True))
    return " ".join(told) if told and apart else answer


def observe_answer(job: Job, answer: str) -> None:
    """Plays a round by an answer in words. What had to be repaired is reported."""
    player, question = player_of(job), question_of(job)
    asked, n = player.asked, len(player.asked)
    if question.wants_order:
        parsed = parse(answer, n, candidates=question.texts)
        named: Sequence[int] = parsed.order
        repairs = parsed.repairs
    else:
        choice, found = parse_choice(concerning(answer, question.kind), n, candidates=question.texts)
        repairs = tuple(
            repair for repair in found if repair.kind != "prose"
        )  # a sentence around a name is no fault
        if choice is None:
            choice = n - 1 if question.kind == "exclude" else 0
            repairs = (Repair("unparsed", f"the answer names nobody; candidate {choice} was taken", choice),)
        named = [choice]
    report(job, repairs)
    player.observe([asked[place] for place in named])


def report(job: Job, repairs: Iterable[Repair]) -> None:
    """Adds repairs to a job, before its round is played. They count candidates as that round showed them."""
    player = player_of(job)
    for repair in repairs:
        index = None if repair.index is None else job.groups[player.asked[repair.index]][0]
        where = f"round {len(player.decisions) + 1}, where candidates are counted from 0 as that round showed them"
        job.repairs.append(replace(repair, message=f"{where}: {repair.message}", index=index))
