"""A request for text: prompts, and how each is gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..loading.settings import AttentionMode
from ..readout import IdentifierReadout, Readout
from .stream import End, Stream
from .writing import Writing


@dataclass(frozen=True, slots=True)
class Written:
    """What was written behind a prompt, stretch by stretch, and how each of them ended.

    `tokens`: all that was written, with what stands between the stretches.
    """

    tokens: tuple[int, ...]
    stretches: tuple[tuple[int, ...], ...]
    ends: tuple[End, ...]

    @classmethod
    def of(cls, stream: Stream) -> Written:
        """What a stream without a head holds once it has ended."""
        return cls(tuple(stream.tokens), tuple(stream.written), tuple(stream.ends))


class Author(Protocol):
    """Says what is to be gone on with, prompt after prompt: what was written behind one may decide the next."""

    @property
    def remaining(self) -> int:
        """Prompts still to come, at most; 0 when all is written."""
        ...

    def prompt(self) -> Sequence[int]:
        """The present prompt. It must not change before it was answered."""
        ...

    def observe(self, texts: Sequence[Written]) -> None:
        """Takes what was written behind it, a text for each seed of the request."""
        ...


class Continuation:
    """The author of one prompt; keeps what was written (`texts`)."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._prompt = tuple(prompt)
        self.texts: tuple[Written, ...] = ()

    @property
    def remaining(self) -> int:
        """1 until it was answered."""
        return 0 if self.texts else 1

    def prompt(self) -> Sequence[int]:
        """The one prompt."""
        return self._prompt

    def observe(self, texts: Sequence[Written]) -> None:
        """Keeps what was written."""
        self.texts = tuple(texts)


@dataclass(frozen=True, slots=True)
class TextRequest:
    """Text for the engine to write. Each prompt is stored once, for as many texts as there are `seeds`.

    A prompt's beginning that it shares with the one before is kept. `longest`: tokens of the longest prompt; None is
    the first one's. A request that needs more than it reserved fails. Raises ValueError without a prompt or a seed.
    """

    author: Author
    writing: Writing
    seeds: tuple[object, ...] = (0,)
    longest: int | None = None

    def __post_init__(self) -> None:
        if not self.seeds or not self.author.remaining or not self.author.prompt():
            raise ValueError(
                "a request for text needs a prompt of at least one token, and a seed for each text"
            )
        if not self.writing.room:
            raise ValueError("a request for text must leave room for at least one token")

    def check(self, mode: AttentionMode, readout: Readout) -> None:
        """Raises ValueError when the engine's model writes no text."""
        check_writes(readout)

    def stored_tokens(self, mode: AttentionMode) -> int:
        """KV slots it holds while it runs: its longest prompt, and room for each text."""
        longest = len(self.author.prompt()) if self.longest is None else self.longest
        return longest + len(self.seeds) * self.writing.room


def check_writes(readout: Readout) -> IdentifierReadout:
    """The readout, as a language model's. Raises ValueError for a pointer head, which knows no vocabulary."""
    if not isinstance(readout, IdentifierReadout):
        raise ValueError(
            "this model ranks through a pointer head and writes no text: leave reasoning out, or use a language model"
        )
    return readout
