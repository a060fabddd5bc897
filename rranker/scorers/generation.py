"""Rounds with a thought: the engine writes it, and the verdict is read behind it, over the candidates that are left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from ..engine.engine import Engine
from ..engine.generation import GREEDY, Sampling, Stretch, Thought, Writing
from ..methods import Episode
from ..prompts.assemble import PromptFormat
from ..prompts.encoding import TextEncoder
from ..prompts.segments import POINTWISE
from ..prompts.thinking import ThinkingFormat
from ..request import Request
from .engine_logits import EngineJob, EngineScorer

MOST_THOUGHT = 256
"""Tokens of a thought, unless the caller says how many."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How a model thinks: at most `tokens` a thought, chosen by `sampling`; `drafts`: guess tokens ahead."""

    tokens: int
    sampling: Sampling = GREEDY
    drafts: bool = True


class ReasoningScorer(EngineScorer):
    """An `EngineScorer` whose models think before each verdict; see `Scorer`, and `EngineScorer` for the arguments.

    A thought ends when the model closes it or its turn, or at its bound; then the identifiers of the candidates left
    are read, so there is always a verdict. Raises ValueError for a model that was not trained on words.
    """

    def __init__(self, engine: Engine, reasoning: Reasoning, **settings: Any) -> None:
        super().__init__(engine, **settings)
        self._reasoning = reasoning
        self._encoder = TextEncoder(self.model.tokenizer)
        if self.model.settings.prompt_format not in ("text", "r1_ranker"):
            raise ValueError(
                f"{self.model.name} ranks by prompts without words, and writes none: leave reasoning out, or use a "
                "language model"
            )
        self._thinking = ThinkingFormat(self._encoder)
        self._formats |= {"exclude": self._thinking, "select": self._thinking}
        self._end_of_turn = end_of_turn(self.model.lm, self._encoder)
        self._leave_room(reasoning.tokens)

    def default_method(self, request: Request) -> str:
        """What the checkpoint was trained to play, else `iranker`."""
        return self.model.settings.method or "iranker"

    def prepare(self, request: Request, method: type[Episode]) -> EngineJob:
        """See `Scorer.prepare`."""
        job = super().prepare(request, method)
        if job.engine_request is not None:
            job.engine_request = replace(job.engine_request, thought=self._thought(job, request, method))
            self.engine.check(job.engine_request)
        return job

    def _thought(self, job: EngineJob, request: Request, method: type[Episode]) -> Thought:
        player, closing = job.player, self._thinking.tags[1]
        assert player is not None
        assert job.engine_request is not None

        def tell(tokens: Sequence[int]) -> None:
            player.thought = thought_of(self._encoder.decode(tuple(tokens)), closing)

        ends = self._thinking.ends(request.template, method.kind)
        stretch = Stretch(self._reasoning.tokens, says(self._encoder, closing), ends.closed, ends.unclosed)
        writing = Writing((stretch,), self._end_of_turn, self._reasoning.sampling, self._reasoning.drafts)
        return Thought(writing, draw_seed(self._seed, job.engine_request.segments.prefix), tell)

    def _format(self, method: type[Episode]) -> PromptFormat:
        if method.kind in POINTWISE:
            raise ValueError(
                f"{method.name} asks about each candidate alone, and a thought goes with questions about a list: use "
                "iranker, selection or dranker, or leave reasoning out"
            )
        return super()._format(method)

    def _leave_room(self, tokens: int) -> None:
        """Keeps positions of the context free for what is written. Raises ValueError where there are too few."""
        context = self._limits.context
        if context is None:
            return
        if tokens >= context:
            raise ValueError(
                f"max_think_tokens is {tokens}, and {self.model.name} reads {context} tokens in all: allow fewer"
            )
        self._limits = replace(self._limits, context=context - tokens)


def draw_seed(seed: int, tokens: Sequence[int]) -> int:
    """Of one query's thoughts: by what it says and not by its place, so that a batch draws as each query alone."""
    return crc32(repr((seed, tuple(tokens))).encode())


def end_of_turn(lm: Any, encoder: TextEncoder) -> frozenset[int]:
    """The tokens that end a model's turn: those that its configs name, and its tokenizer's end of a sequence."""
    named = [encoder.tokenizer.eos_token_id]
    for config in (lm.config, getattr(lm, "generation_config", None)):
        found = getattr(config, "eos_token_id", None)
        named += found if isinstance(found, list | tuple) else [found]
    return frozenset(int(token) for token in named if token is not None)


def says(encoder: TextEncoder, sign: str) -> Callable[[Sequence[int]], bool]:
    """Whether a text has just come to say `sign`: asked after each token, each of which is a character at least."""
    return lambda tokens: sign in encoder.decode(tuple(tokens[-len(sign) :]))


def thought_of(text: str, closing: str) -> str:
    """A thought without the tag that closed it, and what blanks are around it."""
    return text.partition(closing)[0].strip()
