"""Drafts by look-up: what followed the last few tokens before, in the prompt or in earlier texts, may follow again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_LONGEST, _SHORTEST = 4, 2  # tokens that must agree; the longest agreement is taken
_MOST = 8  # tokens of a draft
_PRIOR_TAKEN, _PRIOR_GUESSED = 1.0, 2.0


@dataclass(slots=True)
class Drafter:
    """Guesses of one text's next tokens (prompt look-up decoding, Saxena 2023), checked by the model's own choices.

    `add` makes texts known: the prompt, and earlier thoughts about the same query, of which the latest counts first.
    A draft grows with the share of guessed tokens that were right: each further one only pays while all before it hold.
    `guessed` and `taken` count tokens.
    """

    guessed: int = 0
    taken: int = 0
    _known: list[int] = field(default_factory=list)
    # By n-gram, the place behind its last occurrence; and how many of the text's own tokens are known by now.
    _after: dict[tuple[int, ...], int] = field(default_factory=dict)
    _own: int = 0

    def add(self, tokens: Sequence[int]) -> None:
        """Makes a text known: the prompt, or the rest of the one that was guessed. The next one begins anew."""
        self._append(tokens[self._own :])
        self._own = 0

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens that may follow `tokens`, none where nothing like their end is known."""
        self._learn(tokens)
        most = min(most, self._worthwhile())
        for length in range(_LONGEST, _SHORTEST - 1, -1):
            place = self._after.get(tuple(tokens[-length:])) if len(tokens) >= length else None
            if place is not None and most > 0:
                return self._known[place : place + most]
        return []

    def update(self, guessed: int, taken: int) -> None:
        """Books a draft of `guessed` tokens, of which the first `taken` were right."""
        self.guessed += guessed
        self.taken += taken

    def _learn(self, tokens: Sequence[int]) -> None:
        """The text's own tokens, but for the last one: nothing has followed it yet."""
        self._append(tokens[self._own : len(tokens) - 1])
        self._own = max(self._own, len(tokens) - 1)

    def _append(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            for length in range(_SHORTEST, _LONGEST + 1):
                if len(self._known) >= length:
                    self._after[tuple(self._known[-length:])] = len(self._known)
            self._known.append(token)

    def _worthwhile(self) -> int:
        rate = (self.taken + _PRIOR_TAKEN) / (self.guessed + _PRIOR_GUESSED)
        return max(1, round(_MOST * rate))
