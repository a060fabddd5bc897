"""The query state of rounds with a thought: a question, what the model writes behind it, and then the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..batch import BatchBuilder
from ..readout.request import ReadoutRequest, Subset
from ..sessions.base import QueryStateBase
from .drafts import Drafter
from .stream import Stream
from .writing import Thought


class ThinkingState:
    """A round is asked over several steps: each but the last writes of the thought, the last reads the verdict.

    Candidates are laid out and kept by `inner`, as for questions without a thought; the thought lies behind them, in
    slots that were reserved for it, and is forgotten when its round is decided.
    """

    def __init__(self, inner: QueryStateBase, suffix: Sequence[int], thought: Thought) -> None:
        self._inner, self._suffix, self._thought = inner, tuple(suffix), thought
        inner.room = len(self._suffix) + thought.writing.room
        writing = thought.writing
        self._drafter = Drafter() if writing.drafts and writing.sampling.greedy else None
        if self._drafter is not None:
            self._drafter.add([int(token) for part in inner.parts for token in part])
        self._stream: Stream | None = None
        self._subset: Subset = ()
        self._rounds = 0
        self.written = 0
        """Tokens of the thoughts of rounds that are decided."""
        self.streams: list[Stream] = []
        """The thought, while it waits for its next token; none in the step that reads the verdict."""

    @property
    def slots(self) -> int:
        """Slots of the store that it holds while it is open, with those of the thought."""
        return self._inner.slots

    @property
    def suffix_tokens(self) -> int:
        """Tokens of the question. They are among `slots`."""
        return 0

    @property
    def drafted(self) -> tuple[int, int]:
        """Tokens that were guessed ahead, and those of them that were right."""
        return (0, 0) if self._drafter is None else (self._drafter.guessed, self._drafter.taken)

    def open(self) -> bool:
        """See `QueryState.open`."""
        return self._inner.open()

    def close(self) -> None:
        """See `QueryState.close`."""
        self._inner.close()

    def plan(self, builder: BatchBuilder, query_index: int, subsets: Sequence[Subset]) -> None:
        """Adds a step of the round about the one subset: its question, more of its thought, or what opens the answer.

        Raises ValueError for several questions, or another one while a round is on its way.
        """
        (subset,) = subsets
        if self._stream is None:
            self._stream = Stream(
                self._thought.writing, self._suffix, [self._rounds, self._thought.seed], self._drafter
            )
            self._subset, self._rounds = subset, self._rounds + 1
        elif subset != self._subset:
            raise ValueError("a round was not decided yet, and another question is asked")
        context = self._inner.context(builder, query_index, subset)
        self._stream.plan(builder, query_index, context.visible, context.slot, context.position)
        self.streams = [] if self._stream.ended else [self._stream]

    def wrote(self, hidden: Tensor) -> None:
        """Once a step of the thought is through: what it was to store is there."""
        self._inner.commit(hidden)

    def readout_request(self, hidden: Tensor) -> ReadoutRequest:
        """The verdict, in the step that has no thought left to write."""
        assert self._stream is not None
        self._inner.commit(hidden)
        return self._inner.answer([self._subset], self._stream.reads)

    def naive_tokens(self, subset: Subset) -> int:
        """Tokens of the round without reuse: the whole prompt, its thought, and what opens the answer."""
        written = 0 if self._stream is None else len(self._stream.tokens) - len(self._suffix)
        return self._inner.naive_tokens(subset) + written

    def tell(self) -> None:
        """Hands on the thought, when its verdict was read."""
        if self._stream is not None and self._thought.tell is not None:
            self._thought.tell([token for stretch in self._stream.written for token in stretch])

    def decided(self) -> None:
        """The round is over; the next one thinks anew, and may guess by what was thought."""
        assert self._stream is not None
        self.written += self._stream.chosen
        if self._drafter is not None:
            self._drafter.add(self._stream.tokens)
        self._stream = None
