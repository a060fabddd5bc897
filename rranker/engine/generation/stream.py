"""One text on its way: its tokens, which of them have keys in the store, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..batch import BatchBuilder, Ints, Segment
from .drafts import Drafter
from .writing import Writing

End = Literal["closed", "turn", "bound"]
"""How a stretch ended: by its own sign, with the model's turn, or at its bound."""


class Stream:
    """Text behind a context: `head` (given), then what the model writes.

    It lies in consecutive slots from `slot` on, its first token at `position`. Every step stores the tokens that are
    new, and reads the state of the last; with drafts, those of the drafts too.

    Args:
        writing: what is written, and how.
        head: tokens that are given; none when the state before the text is read elsewhere (`reads`).
        seed: of what is drawn.
        drafter: guesses ahead; None guesses nothing.
    """

    def __init__(
        self, writing: Writing, head: Sequence[int], seed: object, drafter: Drafter | None = None
    ) -> None:
        self.writing, self._drafter = writing, drafter
        self.tokens: list[int] = list(head)
        self.stored = 0
        self.reads = range(0)
        """Where, in the step's output, the states stand that its next tokens are chosen by."""
        self.written: list[tuple[int, ...]] = []
        """The stretches that have ended, each without what was written behind it."""
        self.ends: list[End] = []
        self._rng = np.random.default_rng(seed)  # type: ignore[arg-type]
        self._begin, self._draft, self._draws = len(self.tokens), list[int](), list[float]()
        self._skip_empty()

    @property
    def chosen(self) -> int:
        """Tokens that the model wrote in the stretches that have ended."""
        return sum(map(len, self.written))

    @property
    def ended(self) -> bool:
        """Whether all stretches have ended. There may be tokens that no step has stored."""
        return len(self.written) == len(self.writing.stretches)

    def draws(self) -> list[float]:
        """A number in [0, 1) for each token that is chosen in this step; the same ones until they are."""
        while not self.writing.sampling.greedy and len(self._draws) < len(self.reads):
            self._draws.append(float(self._rng.random()))
        return self._draws or [0.0] * len(self.reads)

    def plan(self, builder: BatchBuilder, query_index: int, visible: Ints, slot: int, position: int) -> range:
        """Adds the new tokens and drafts to a step, behind what is `visible`; the states to read: [1 + drafts]."""
        if self.stored:
            own = builder.segment(Segment(slot, self.stored, position))
            visible = np.append(visible, own)
        self._draft = self._guess()
        fresh = [*self.tokens[self.stored :], *self._draft]
        first = builder.chunk(
            np.asarray(fresh, dtype=np.int64),
            position + self.stored,
            visible,
            query_index,
            slot + self.stored,
        )
        last = first + len(fresh) - 1
        places = [builder.read(row) for row in range(last - len(self._draft), last + 1)]
        self.reads = range(places[0], places[-1] + 1)
        return self.reads

    def accept(self, chosen: Sequence[int]) -> None:
        """Once a step is through, so that what it planned is stored: takes the next tokens.

        `chosen[i]` is the one behind the i-th draft (0: behind the text); those behind wrong drafts do not count.
        """
        draft, self._draft = self._draft, []
        self._draws = []
        stored, taken = len(self.tokens), 0
        for place, token in enumerate(chosen):
            before = len(self.tokens)
            self._append(token)
            guessed = place < len(draft) and token == draft[place]
            taken += guessed and self.tokens[before : before + 1] == [token]
            if self.ended or not guessed or len(self.tokens) != before + 1:
                break
        self.stored = stored + taken  # the keys of drafts that were taken over are there already
        if self._drafter is not None and draft:
            self._drafter.update(len(draft), taken)

    def _guess(self) -> list[int]:
        if self._drafter is None or self.ended:
            return []
        left = self.writing.stretches[len(self.written)].most - (len(self.tokens) - self._begin)
        return self._drafter.guess(self.tokens, left - 1)

    def _append(self, token: int) -> None:
        """Takes a token that the model wrote; ends the stretch where it must."""
        stretch = self.writing.stretches[len(self.written)]
        if token in self.writing.end_of_turn:
            self._end("turn")
            return
        self.tokens.append(token)
        own = self.tokens[self._begin :]
        if stretch.ended is not None and stretch.ended(own):
            self._end("closed")
        elif len(own) >= stretch.most:
            self._end("bound")

    def _end(self, how: End) -> None:
        stretch = self.writing.stretches[len(self.written)]
        self.written.append(tuple(self.tokens[self._begin :]))
        self.ends.append(how)
        self.tokens += stretch.closed if how == "closed" else stretch.cut
        self._begin = len(self.tokens)
        self._skip_empty()

    def _skip_empty(self) -> None:
        """Ends stretches that may hold nothing, at once."""
        if not self.ended and self.writing.stretches[len(self.written)].most == 0:
            self._end("bound")
