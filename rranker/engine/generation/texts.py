"""The query state of a request for text: its prompt's keys, kept as far as the next prompt begins alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..batch import BatchBuilder, Segment
from ..kv.cache import KVCache
from .drafts import Drafter
from .request import TextRequest, Written
from .stream import Stream


class TextState:
    """A prompt, encoded once, and the texts behind it, which see it and themselves.

    One extent of the store holds the prompt, then each text in room of its own. The first step of a prompt encodes what
    the store does not hold of it; the state of its last token says how every text begins.
    """

    def __init__(self, request: TextRequest, store: KVCache) -> None:
        self._request, self._store = request, store
        self._start: int | None = None
        self._prompt: list[int] = []
        self._stored: list[int] = []  # tokens whose keys lie at the beginning of the extent
        self._begun = False
        drafts = request.writing.drafts and request.writing.sampling.greedy
        self._drafters = [Drafter() if drafts else None for _ in request.seeds]
        self.streams: list[Stream] = []
        """Those that wait for their next token, once a step is planned."""
        self._all: list[Stream] = []
        self._rounds = 0
        self.written = 0
        """Tokens that the model wrote, in the texts that are complete."""
        self.tokens_naive = 0
        """Tokens of all prompts and texts, a prompt counted for each of its texts."""
        self.slots = request.stored_tokens("causal")
        """Slots of the store that it holds while it is open."""

    @property
    def suffix_tokens(self) -> int:
        """Tokens of a step beside those that are counted by `slots`: none."""
        return 0

    @property
    def drafted(self) -> tuple[int, int]:
        """Tokens that were guessed ahead, and those of them that were right."""
        known = [drafter for drafter in self._drafters if drafter is not None]
        return sum(d.guessed for d in known), sum(d.taken for d in known)

    def open(self) -> bool:
        """Reserves the slots; False when the store has no run that long."""
        self._start = self._store.allocator.allocate(self.slots)
        return self._start is not None

    def close(self) -> None:
        """Gives the slots back. Nothing happens to a state that is not open."""
        if self._start is not None:
            self._store.allocator.release(self._start, self.slots)
            self._start = None

    def plan(self, builder: BatchBuilder, query_index: int) -> None:
        """Adds a step: the prompt's new tokens, or the next tokens of its texts.

        Raises ValueError for a prompt that does not fit in what was reserved.
        """
        if self._start is None:
            raise RuntimeError("a query state must be open to plan a step")
        if not self._begun:
            self._plan_prompt(builder, query_index, self._start)
            return
        prompt = np.asarray([builder.segment(Segment(self._start, len(self._prompt), 0))], dtype=np.int64)
        self.streams = [stream for stream in self._all if not stream.ended]
        for place, stream in enumerate(self._all):
            if not stream.ended:
                slot = self._start + len(self._prompt) + place * self._request.writing.room
                stream.plan(builder, query_index, prompt, slot, len(self._prompt))

    def wrote(self) -> None:
        """Once a step is through: once all texts have ended, the author gets them."""
        if not self._begun:
            self._begun, self._stored = True, self._prompt
            self._rounds += 1
        if not all(stream.ended for stream in self._all):
            return
        texts = [Written.of(stream) for stream in self._all]
        # The first text lies right behind its prompt, so the next prompt may begin with both.
        self._stored = [*self._prompt, *self._all[0].tokens[: self._all[0].stored]]
        for drafter, text in zip(self._drafters, texts, strict=True):
            if drafter is not None:
                drafter.add(text.tokens)
        self._begun = False
        self.written += sum(stream.chosen for stream in self._all)
        self.tokens_naive += sum(len(self._prompt) + len(text.tokens) for text in texts)
        self._request.author.observe(texts)

    def _plan_prompt(self, builder: BatchBuilder, query_index: int, start: int) -> None:
        writing, seeds = self._request.writing, self._request.seeds
        self._prompt = list(self._request.author.prompt())
        needed = len(self._prompt) + len(seeds) * writing.room
        if not self._prompt or needed > self.slots:
            raise ValueError(
                f"this prompt and its texts take {needed} tokens, where {self.slots} are reserved: "
                "`longest` must say how long prompts become"
            )
        kept = min(_common(self._stored, self._prompt), len(self._prompt) - 1)
        self._stored = self._stored[:kept]  # should the step fail, the rest is lost
        sees = [builder.segment(Segment(start, kept, 0))] if kept else []
        first = builder.chunk(
            np.asarray(self._prompt[kept:], dtype=np.int64),
            kept,
            np.asarray(sees, dtype=np.int64),
            query_index,
            start + kept,
        )
        read = builder.read(first + len(self._prompt) - kept - 1)
        self._all = []
        for seed, drafter in zip(seeds, self._drafters, strict=True):
            if drafter is not None:
                drafter.add(self._prompt[kept:])
            stream = Stream(writing, (), [self._rounds, *_numbers(seed)], drafter)
            stream.reads = range(read, read + 1)
            self._all.append(stream)
        # A text that begins with tokens of its own does not ask the prompt how to begin.
        self.streams = [stream for stream in self._all if not stream.tokens]


def _numbers(seed: object) -> list[int]:
    return [int(number) for number in seed] if isinstance(seed, Sequence) else [int(seed)]  # type: ignore[call-overload]


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
