"""Rounds that are answered in words, which the engine writes: the prompts of R1-Ranker, and models trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..engine.engine import Engine
from ..engine.errors import CapacityError
from ..engine.generation import Stretch, TextRequest, Writing, Written
from ..methods import Answered, Episode
from ..prompts.assemble import Truncation
from ..prompts.r1_answers import answer_of, match, names_of, ranked
from ..prompts.r1_ranker import R1RankerFormat, Shown
from ..prompts.segments import PromptPart
from ..prompts.too_many import TooManyError
from ..prompts.truncation import fair_share, truncate_part
from ..reasoning import Reasoning
from ..repairs import cut_repairs, encoding_repairs
from ..request import Request
from ..types import Repair
from .engine_logits import EngineJob, EngineScorer
from .generation import draw_seed, end_of_turn, says, thought_of
from .protocol import groups_of, texts_of

_MOST_WRITTEN = 960
"""Tokens of a thought, unless the caller says how many: with an answer they make the 1,024 of the released code."""
_AROUND = 32  # tokens that an answer may take beside the names in it
_LAST = (
    40  # characters of a response that count for its answer where nothing else does, as in the released code
)


@dataclass(slots=True, eq=False)
class WrittenJob(EngineJob):
    """A job whose rounds are prompts of their own; see `EngineJob`."""

    text_request: TextRequest | None = None

    @property
    def requests(self) -> Sequence[TextRequest]:
        """The one that asks all rounds."""
        return [] if self.text_request is None else [self.text_request]


class WrittenScorer(EngineScorer):
    """See `Scorer`, and `EngineScorer` for `engine` and the settings.

    Every round shows those that are left in their input order, without what was thought before. What a model wrote is
    matched to a name in the prompt: exact, then in part, then the closest; an order is parsed and completed. Whatever
    was not exact is reported. A model of this format always opens a thought; where a request asks for none, it is
    closed at once. `drafts`: tokens are guessed ahead. Raises ValueError for a model that writes no text.
    """

    def __init__(self, engine: Engine, *, drafts: bool = True, **settings: Any) -> None:
        super().__init__(engine, **settings)
        self._drafts = drafts
        self._prompts = R1RankerFormat(self._encoder)
        self._end_of_turn = end_of_turn(self.model.lm, self._encoder)

    def default_method(self, request: Request) -> str:
        """What the checkpoint was trained to play, else `iranker`."""
        return self.model.settings.method or "iranker"

    def check_reasoning(self, reasoning: Reasoning | None) -> None:
        """Nothing to say: what does not fit depends on the prompt."""

    def prepare(self, request: Request, method: type[Episode]) -> WrittenJob:
        """See `Scorer.prepare`. Raises CapacityError (a ValueError) too, when the KV cache could never hold it."""
        if request.relevance:
            raise ValueError("answers in words say nothing of relevance: leave relevance and threshold out")
        if method.kind != "exclude" and not (method.one_question and method.kind == "select"):
            raise ValueError(
                f"{method.name} has no words in this prompt format: use iranker or dranker, or format='text'"
            )
        groups = groups_of(request)
        if not groups:
            return WrittenJob(request, method, (), None)
        player = Answered(method(len(groups), top_k=request.top_k))
        job = WrittenJob(request, method, groups, player)
        if not job.decided:
            author = _Rounds(job, player, self._prompts, self._texts(job))
            job.repairs += encoding_repairs(request)
            job.text_request = TextRequest(
                author, self._writing(job, author), (draw_seed(self._seed, author.prompt()),)
            )
            try:
                self.engine.check(job.text_request)
            except CapacityError as error:
                raise CapacityError(str(error), len(groups) // 2) from error  # half of them may fit
        return job

    def _writing(self, job: WrittenJob, author: _Rounds) -> Writing:
        names = [len(ids) for ids in self._encoder.user_batch(author.names)]
        most = _AROUND + (sum(names) + 2 * len(names) if author.player.wants_order else max(names))
        opened = self._encoder.literal("</think> <answer>", inside=True)
        reasoning = job.request.reasoning or Reasoning(0)
        tokens = _MOST_WRITTEN if reasoning.tokens is None else reasoning.tokens
        thought = Stretch(tokens, says(self._encoder, "</think>"), (), opened)
        answer = Stretch(most, says(self._encoder, "</answer>"))
        return Writing((thought, answer), self._end_of_turn, reasoning.sampling, self._drafts)

    def _texts(self, job: WrittenJob) -> list[str]:
        """Each group's text; where the first prompt is too long for the context, the longest are cut, and reported.

        Raises ValueError when they may not be cut, or not far enough.
        """
        texts = texts_of(job.request, job.groups)
        context = self._limits.context
        if context is None:
            return texts
        probe = _Rounds(job, Answered(job.method(len(texts))), self._prompts, texts)
        over = len(probe.prompt()) + self._writing(job, probe).room - context
        if over <= 0:
            return texts
        parts = [PromptPart((), ids) for ids in self._encoder.user_batch(texts)]
        # Tokens are counted apart, and put together they may be a few more: one each is kept in hand.
        share = fair_share([len(part) for part in parts], sum(map(len, parts)) - over - len(parts))
        if share < 1:
            raise TooManyError(
                f"these {len(texts)} candidates do not fit: with the query, thought and answer they take {over} tokens "
                f"more than the {context} that the model reads: rank fewer at once, or allow a shorter thought",
                len(texts) // 2,
            )
        cuts = list[Truncation]()
        for at, (part, group) in enumerate(zip(parts, job.groups, strict=True)):
            if len(part) > share:
                kept = truncate_part(part, share, self._truncate, f"candidate {group[0]}")
                texts[at] = self._encoder.decode(kept.body)
                cuts.append(Truncation(group[0], len(part), len(kept)))
        job.repairs += cut_repairs(job.request, cuts, job.groups)
        return texts


class _Rounds:
    """The rounds of one job, as prompts; see `rranker.engine.generation.Author`."""

    def __init__(
        self, job: WrittenJob, player: Answered, prompts: R1RankerFormat, texts: Sequence[str]
    ) -> None:
        self._job, self.player, self._prompts = job, player, prompts
        self._shown = [Shown(place, text) for place, text in enumerate(texts)]
        self.names = names_of(job.request.template, self._shown)
        self._prompt: tuple[int, ...] = ()
        self._rounds = 0

    @property
    def remaining(self) -> int:
        """Rounds still to come."""
        return self.player.remaining

    def prompt(self) -> Sequence[int]:
        """The present round's: those left, in their input order."""
        if not self._prompt:
            request = self._job.request
            self._prompt = self._prompts.prompt(
                request.template,
                request.instruction,
                request.query,
                [self._shown[place] for place in sorted(self.player.asked)],
                order=self.player.wants_order,
            )
        return self._prompt

    def observe(self, texts: Sequence[Written]) -> None:
        """Reads the answer, reports what was not exact, and plays the round."""
        (text,) = texts
        encoder = self._prompts.encoder
        self._rounds += 1
        response = encoder.decode(text.tokens)
        self.player.thought = thought_of(encoder.decode(text.stretches[0]), "</think>")
        answer = answer_of(response)
        if answer is None:
            answer = encoder.decode(text.stretches[1]).strip() or response[-_LAST:]
        asked = sorted(self.player.asked)
        named = self._order(answer, asked) if self.player.wants_order else [self._choice(answer, asked)]
        self._prompt = ()
        self.player.observe(named)

    def _choice(self, answer: str, asked: Sequence[int]) -> int:
        at, how = match(answer, [self.names[place] for place in asked])
        if how != "exact":
            self._report(
                Repair(how, f"{answer.strip()[:80]!r} was read as {self.names[asked[at]]!r}", asked[at])
            )
        return asked[at]

    def _order(self, answer: str, asked: Sequence[int]) -> list[int]:
        parsed = ranked(answer, [self.names[place] for place in asked])
        for repair in parsed.repairs:
            self._report(replace(repair, index=None if repair.index is None else asked[repair.index]))
        return [asked[at] for at in parsed.order]

    def _report(self, repair: Repair) -> None:
        index = None if repair.index is None else self._job.groups[repair.index][0]
        message = f"round {self._rounds}: {repair.message}"
        self._job.repairs.append(replace(repair, message=message, index=index))
