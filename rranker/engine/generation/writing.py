"""What is written, and when it ends: stretches of text, each with a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...reasoning import GREEDY, Sampling

Ended = Callable[[Sequence[int]], bool]
"""Whether a stretch is over, of its tokens so far; asked after each one."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Text that a model writes until `ended` says so, it ends its turn, or `most` tokens were written.

    `closed` is written behind one that ended itself, `cut` behind one that its bound or the end of the turn ended: for
    a thought, the latter closes it, and both open the answer. The token that ends a turn is left out.
    """

    most: int
    ended: Ended | None = None
    closed: tuple[int, ...] = ()
    cut: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.most < 0:
            raise ValueError(f"a stretch of text has at least 0 tokens, not {self.most}")

    @property
    def room(self) -> int:
        """Tokens that it may take, with what is written behind it."""
        return self.most + max(len(self.closed), len(self.cut))


@dataclass(frozen=True, slots=True)
class Writing:
    """How text is written: its stretches one after another, and how tokens are chosen.

    `end_of_turn`: tokens that end the model's turn. `drafts`: guess tokens ahead by what was written before
    (`drafts.py`), where nothing is drawn.
    """

    stretches: tuple[Stretch, ...]
    end_of_turn: frozenset[int] = frozenset()
    sampling: Sampling = GREEDY
    drafts: bool = True

    @property
    def room(self) -> int:
        """Tokens that it may take."""
        return sum(stretch.room for stretch in self.stretches)


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model writes behind a question before it is asked for the verdict.

    The last tokens written (`Stretch.closed`, `Stretch.cut`) open the answer, so that an identifier comes next. `seed`
    decides what is drawn. `tell` gets the tokens of each thought, just before the method gets the verdict. Raises
    ValueError when nothing opens the answer.
    """

    writing: Writing
    seed: int = 0
    tell: Callable[[Sequence[int]], None] | None = None

    def __post_init__(self) -> None:
        last = self.writing.stretches[-1]
        if not (last.closed and last.cut):
            raise ValueError("a thought must be followed by what opens the answer, however it ended")
