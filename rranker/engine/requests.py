"""One request of the engine: what is asked of it, and the handle that its submitter holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from torch import Tensor

from ..prompts.segments import POINTWISE, Segments
from .generation.request import TextRequest, check_writes
from .generation.stream import Stream
from .generation.texts import TextState
from .generation.thinking import ThinkingState
from .generation.writing import Thought
from .loading.settings import AttentionMode
from .method import Method
from .readout import Readout
from .readout.request import Logits, PointwiseScore, Subset
from .sessions import QueryState
from .speculation import Sequential, Speculation

Reuse = Literal["exact", "keep"]
"""In causal mode, what becomes of keys behind a candidate that left: `exact` encodes them anew, as a fresh prompt of
the survivors would; `keep` keeps them, so that all is encoded once, and no more equals such a prompt."""

State = QueryState | ThinkingState | TextState
"""What a request keeps while it runs."""

Status = Literal["waiting", "running", "finished", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One query for the engine: its prompt, and the method that asks about it (with at least one round to play).

    `speculate`: guess rounds ahead. Off for methods whose questions of one step all count (sampled rollouts).
    `branches`: in causal mode, how many independent questions a step may ask: a question that another one begins with
    does not count. Where all is encoded once (block mode, `reuse="keep"`, questions about one candidate alone) a step
    may ask any number. `pointwise`: also read this of what a pointer head says of each candidate alone, which takes no
    question. `thought`: what the model writes behind each question before its verdict is read; nothing is guessed then.
    """

    segments: Segments
    method: Method
    speculate: bool = True
    branches: int = 1
    reuse: Reuse = "exact"
    pointwise: PointwiseScore | None = None
    thought: Thought | None = None

    @property
    def asked_alone(self) -> bool:
        """Whether its questions show one candidate at a time."""
        return self.method.kind in POINTWISE

    def encoded_once(self, mode: AttentionMode) -> bool:
        """Whether no candidate is ever encoded again, whoever leaves."""
        return mode == "block" or self.reuse == "keep" or self.asked_alone

    def check(self, mode: AttentionMode, readout: Readout) -> None:
        """Raises ValueError when `pointwise` or `thought` is asked of who cannot say it."""
        if self.thought is not None:
            check_writes(readout)
            if self.branches != 1 or self.pointwise or self.asked_alone:
                raise ValueError("a thought goes with one question about a list at a time")
        alone = mode == "block" or self.asked_alone
        if self.pointwise and not (readout.needs_states and alone):
            raise ValueError(
                "a candidate's own score is read by a pointer head, and of candidates that do not see each other"
            )
        if self.pointwise == "tokens" and readout.matches is None:
            raise ValueError(
                "relevance was calibrated with late interaction, which this model's head does not have: calibrate it "
                "anew (`python -m rranker.training.calibrate`)"
            )

    def stored_tokens(self, mode: AttentionMode) -> int:
        """KV slots it holds while it runs: its prefix and its candidates, once a branch where they may differ."""
        copies = 1 if self.encoded_once(mode) else self.branches
        room = 0 if self.thought is None else len(self.segments.suffix) + self.thought.writing.room
        return len(self.segments.prefix) + copies * sum(map(len, self.segments.candidates)) + room

    def most_candidates(self, mode: AttentionMode, slots: int) -> int:
        """How many candidates such a request may have in so many slots, if they are its longest ones."""
        candidates = sum(map(len, self.segments.candidates))
        copies = 1 if self.encoded_once(mode) else self.branches
        room = slots - (self.stored_tokens(mode) - copies * candidates)
        lengths = sorted(map(len, self.segments.candidates), reverse=True)
        return bisect_right(list(accumulate(lengths)), room // copies)


@dataclass(slots=True, eq=False)
class Handle:
    """One request on its way. Its method holds the verdicts; the counters here are its bill.

    `flow` groups the requests that one caller submitted together: admission takes turns between flows. `error` says
    why it failed; it is set with the status `failed` only. `pointwise_scores` [n]: what `EngineRequest.pointwise` asks
    for, from the first step on.
    """

    request: EngineRequest | TextRequest
    flow: int
    state: State
    speculation: Speculation | Sequential | None = None
    status: Status = "waiting"
    error: Exception | None = None
    passes: int = 0
    tokens_encoded: int = 0
    tokens_naive: int = 0
    pointwise_scores: Logits | None = None

    @property
    def question(self) -> EngineRequest:
        """The request, of one that asks questions."""
        assert isinstance(self.request, EngineRequest)
        return self.request

    @property
    def query_state(self) -> QueryState | ThinkingState:
        """The state, of one that asks questions."""
        assert not isinstance(self.state, TextState)
        return self.state

    @property
    def streams(self) -> Sequence[Stream]:
        """Texts that wait for their next token in the planned step; with any, no question is answered in it."""
        return self.state.streams if isinstance(self.state, TextState | ThinkingState) else ()

    @property
    def written(self) -> int:
        """Tokens that the model wrote for it, as far as they are complete."""
        return self.state.written if isinstance(self.state, TextState | ThinkingState) else 0

    @property
    def guesses(self) -> tuple[int, int]:
        """How many guesses were right, and how many wrong: rounds, or of text, tokens."""
        if isinstance(self.state, TextState | ThinkingState):
            guessed, taken = self.state.drafted
            return taken, guessed - taken
        return (0, 0) if self.speculation is None else (self.speculation.hits, self.speculation.misses)

    @property
    def done(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ("finished", "failed", "cancelled")

    def update(self, subsets: list[Subset], logits: list[Logits], overhead: float) -> None:
        """Gives a step's verdicts to the method and books the step; `overhead`: see `Speculation`."""
        assert self.speculation is not None
        state, method = self.query_state, self.question.method
        if isinstance(state, ThinkingState):
            state.tell()
        used = method.observe(subsets, logits)
        self.speculation.update(len(subsets), used, overhead)
        self.passes += 1
        self.tokens_naive += sum(state.naive_tokens(subset) for subset in subsets[:used])
        if isinstance(state, ThinkingState):
            state.decided()
        if not method.remaining and not self.done:
            self.status = "finished"

    def wrote(self, hidden: Tensor, tokens: Sequence[Sequence[int]]) -> None:
        """Gives a step's `tokens` to its streams and books the step. hidden: [reads, D].

        The author of a request for text gets what is complete.
        """
        for stream, chosen in zip(self.streams, tokens, strict=True):
            stream.accept(chosen)
        if isinstance(self.state, ThinkingState):
            self.state.wrote(hidden)
        elif isinstance(self.state, TextState):
            self.state.wrote()
            self.tokens_naive = self.state.tokens_naive
        self.passes += 1
        if isinstance(self.request, TextRequest) and not self.request.author.remaining and not self.done:
            self.status = "finished"

    def fail(self, error: Exception) -> None:
        """Ends it with an error, unless it has ended already."""
        if not self.done:
            self.status, self.error = "failed", error
