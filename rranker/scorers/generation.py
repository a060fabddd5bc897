"""Rounds with a thought: the engine writes it, and the verdict is read behind it, over the candidates that are left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any
from zlib import crc32

from ..engine.engine import Engine
from ..engine.generation import Stretch, Thought, Writing
from ..methods import Episode
from ..prompts.assemble import Limits, PromptFormat
from ..prompts.encoding import TextEncoder
from ..prompts.segments import POINTWISE, Kind
from ..prompts.thinking import ThinkingFormat
from ..reasoning import Reasoning
from ..request import Request
from .engine_logits import EngineJob, EngineScorer

_MOST_THOUGHT = 256
"""Tokens of a thought, unless the caller says how many."""


class ReasoningScorer(EngineScorer):
    """An `EngineScorer` of a model of words, which thinks before each verdict where the request says so.

    A thought ends when the model closes it or its turn, or at its bound; then the identifiers of the candidates left
    are read, so there is always a verdict. `drafts`: tokens of thoughts are guessed ahead. See `Scorer`, and
    `EngineScorer` for the other arguments.
    """

    def __init__(self, engine: Engine, *, drafts: bool = True, **settings: Any) -> None:
        super().__init__(engine, **settings)
        self._drafts = drafts

    @cached_property
    def _thinking(self) -> ThinkingFormat:
        return ThinkingFormat(self._encoder)

    @cached_property
    def _end_of_turn(self) -> frozenset[int]:
        return end_of_turn(self.model.lm, self._encoder)

    def default_method(self, request: Request) -> str:
        """What the checkpoint was trained to play; of one that was not trained to rank, with a thought `iranker`."""
        if request.reasoning is None:
            return super().default_method(request)
        return self.model.settings.method or "iranker"

    def check_reasoning(self, reasoning: Reasoning | None) -> None:
        """Raises ValueError when a thought takes all that the model reads."""
        context = self._limits.context
        if reasoning is not None and context is not None and _bound(reasoning) >= context:
            raise ValueError(
                f"max_think_tokens is {_bound(reasoning)}, and {self.model.name} reads {context} tokens in all: allow "
                "fewer"
            )

    def prepare(self, request: Request, method: type[Episode]) -> EngineJob:
        """See `Scorer.prepare`."""
        job = super().prepare(request, method)
        if job.engine_request is not None and request.reasoning is not None:
            thought = self._thought(job, request, request.reasoning, method)
            job.engine_request = replace(job.engine_request, thought=thought)
            self.engine.check(job.engine_request)
        return job

    def _thought(
        self, job: EngineJob, request: Request, reasoning: Reasoning, method: type[Episode]
    ) -> Thought:
        player, closing = job.player, self._thinking.tags[1]
        assert player is not None
        assert job.engine_request is not None

        def tell(tokens: Sequence[int]) -> None:
            player.thought = thought_of(self._encoder.decode(tuple(tokens)), closing)

        ends = self._thinking.ends(request.template, method.kind)
        stretch = Stretch(_bound(reasoning), says(self._encoder, closing), ends.closed, ends.unclosed)
        writing = Writing((stretch,), self._end_of_turn, reasoning.sampling, self._drafts)
        return Thought(writing, draw_seed(self._seed, job.engine_request.segments.prefix), tell)

    def _limits_of(self, request: Request, kind: Kind) -> Limits:
        """Positions of the context are kept free for the thought, and for what opens the answer behind it."""
        if request.reasoning is None or self._limits.context is None:
            return self._limits
        ends = self._thinking.ends(request.template, kind)
        written = _bound(request.reasoning) + max(len(ends.closed), len(ends.unclosed))
        return replace(self._limits, context=max(self._limits.context - written, 1))

    def _format(self, request: Request, method: type[Episode]) -> PromptFormat:
        if request.reasoning is None:
            return super()._format(request, method)
        if method.kind in POINTWISE:
            raise ValueError(
                f"{method.name} asks about each candidate alone, and a thought goes with questions about a list: use "
                "iranker, selection or dranker, or leave reasoning out"
            )
        return self._thinking


def _bound(reasoning: Reasoning) -> int:
    """Tokens of a thought, at most."""
    return _MOST_THOUGHT if reasoning.tokens is None else reasoning.tokens


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
