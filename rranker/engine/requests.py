"""One request of the engine: what is asked of it, and the handle that its submitter holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..prompts.segments import POINTWISE, Segments
from .loading.settings import AttentionMode
from .method import Method
from .readout import Readout
from .readout.request import Logits, Subset
from .sessions import QueryState
from .speculation import Sequential, Speculation

Reuse = Literal["exact", "keep"]
"""In causal mode, what becomes of keys behind a candidate that left: `exact` encodes them anew, as a fresh prompt of
the survivors would; `keep` keeps them, so that all is encoded once, and no more equals such a prompt."""

Status = Literal["waiting", "running", "finished", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One query for the engine: its prompt, and the method that asks about it (with at least one round to play).

    `speculate`: guess rounds ahead. Off for methods whose questions of one step all count (sampled rollouts).
    `branches`: in causal mode, how many independent questions a step may ask: a question that another one begins with
    does not count. Where all is encoded once (block mode, `reuse="keep"`, questions about one candidate alone) a step
    may ask any number. `pointwise`: also read what a pointer head says of each candidate alone, which takes no
    question.
    """

    segments: Segments
    method: Method
    speculate: bool = True
    branches: int = 1
    reuse: Reuse = "exact"
    pointwise: bool = False

    def encoded_once(self, mode: AttentionMode) -> bool:
        """Whether no candidate is ever encoded again, whoever leaves."""
        return mode == "block" or self.reuse == "keep" or self.method.kind in POINTWISE

    def check_pointwise(self, mode: AttentionMode, readout: Readout) -> None:
        """Raises ValueError when `pointwise` is asked of who cannot say it."""
        alone = mode == "block" or self.method.kind in POINTWISE
        if self.pointwise and not (readout.needs_states and alone):
            raise ValueError(
                "a candidate's own score is read by a pointer head, and of candidates that do not see each other"
            )

    def stored_tokens(self, mode: AttentionMode) -> int:
        """KV slots it holds while it runs: its prefix and its candidates, once a branch where they may differ."""
        copies = 1 if self.encoded_once(mode) else self.branches
        return len(self.segments.prefix) + copies * sum(map(len, self.segments.candidates))


@dataclass(slots=True, eq=False)
class Handle:
    """One request on its way. Its method holds the verdicts; the counters here are its bill.

    `flow` groups the requests that one caller submitted together: admission takes turns between flows. `error` says
    why it failed; it is set with the status `failed` only. `pointwise_scores` [n]: what `EngineRequest.pointwise` asks
    for, from the first step on.
    """

    request: EngineRequest
    flow: int
    session: QueryState
    speculation: Speculation | Sequential | None = None
    status: Status = "waiting"
    error: Exception | None = None
    passes: int = 0
    tokens_encoded: int = 0
    tokens_naive: int = 0
    pointwise_scores: Logits | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ("finished", "failed", "cancelled")

    def update(self, subsets: list[Subset], logits: list[Logits], overhead: float) -> None:
        """Gives a step's verdicts to the method and books the step; `overhead`: see `Speculation`."""
        assert self.speculation is not None
        used = self.request.method.observe(subsets, logits)
        self.speculation.update(len(subsets), used, overhead)
        self.passes += 1
        self.tokens_naive += sum(self.session.naive_tokens(subset) for subset in subsets[:used])
        if not self.request.method.remaining and not self.done:
            self.status = "finished"

    def fail(self, error: Exception) -> None:
        """Ends it with an error, unless it has ended already."""
        if not self.done:
            self.status, self.error = "failed", error
