"""The boundary between a request and whoever answers its method's questions."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..calibration import Calibration
from ..methods import Episode, Player
from ..ordering import distinct
from ..prompts.spans import Span
from ..request import Request
from ..types import Repair, Stats

Groups = tuple[tuple[int, ...], ...]
"""The input indices at each place of the prompt: candidates with the same text are one to the model, and share one."""


def groups_of(request: Request) -> Groups:
    """The groups of a request, in input order."""
    return tuple(distinct([candidate.text for candidate in request.candidates]))


def texts_of(request: Request, groups: Groups) -> list[str]:
    """The text of each place."""
    return [request.candidates[group[0]].text for group in groups]


@dataclass(slots=True, eq=False)
class Job:
    """One request on its way through a scorer. `player` is None when there are no candidates.

    It is done when nothing remains to be asked, or when `error` is set. `calibration` is there when relevance will be
    given; `pointwise_scores` then says, place by place, what it makes probabilities of, once the job is done. `spans`:
    the best part of each place's text, where parts were ranked.
    """

    request: Request
    method: type[Episode]
    groups: Groups
    player: Player | None
    repairs: list[Repair] = field(default_factory=list)
    stats: Stats = field(default_factory=Stats)
    error: Exception | None = None
    calibration: Calibration | None = None
    pointwise_scores: Sequence[float] = ()
    spans: Mapping[int, Span] = field(default_factory=dict)

    @property
    def decided(self) -> bool:
        """Whether there is nothing left to ask."""
        return self.player is None or not self.player.remaining

    @property
    def done(self) -> bool:
        """Whether nothing more happens to it."""
        return self.decided or self.error is not None


class Scorer(Protocol):
    """Answers methods' questions: by logits over the candidates, by naming one, or by an order.

    To add one (a remote model, a program), implement this, or `text.TextScorer` if it answers in text, and pass it as
    `Ranker(scorer=...)`. Must be safe to call from several threads.
    """

    def default_method(self, request: Request) -> str:
        """The name of the method that suits it where the caller names none."""
        ...

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """Lays a request out and checks all that can be checked before any work.

        Raises TypeError or ValueError for what can never be ranked. Where a request needs relevance, who can give it
        sets `Job.calibration`; without, the request is refused.
        """
        ...

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """Plays the jobs' episodes, together, and yields each job once it is done (`Job.done`), in any order.

        Who plays step by step may yield jobs after each step that they went on in, so that their rounds are streamed;
        and None when all is laid out, and at the end of each step: then another call may take its turn.

        An error that comes up belongs to its job. Closing the generator early gives everything back. Who waits for
        something outside ends the wait when whoever asked is gone (`rranker.workers.when_reader_goes`).
        """
        ...

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    def close(self) -> None:
        """Frees what it holds."""
        ...
