"""Lists too long for one prompt: windows of them are ranked, and who survives meets again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..prompts.segments import POINTWISE
from .assembled import Assembled
from .episode import Episode
from .outcome import Decision, Outcome, Subset, by_logit, probabilities
from .selection import select_outcome


class Windows(Assembled):
    """One query's ranking by a method, window by window, in stages.

    A stage deals those alive, like cards, into as few windows of at most `window` as hold them. Each is ranked alone;
    its better half goes on, or its best `top_k` where that is more, until one window holds all: about log2(n / window)
    + 1 stages, which show about 2n candidates. Those who leave in a stage rank below all who go on; among each other by
    their place in their window, then by how surely they won it.

    With a `top_k` of at most half of `window`, the best k reach the last window (`certified`), if any two candidates
    compare alike in any company: then fewer than k of a window are better than one of them.

    Where a method asks about each candidate alone, logits compare across windows, and one stage gives what the whole
    list at once would. `layout`: all places in the order in which they are dealt.

    Raises ValueError for a window of less than two candidates.
    """

    def __init__(
        self, method: type[Episode], *, layout: Subset, window: int, top_k: int | None = None
    ) -> None:
        super().__init__(method(len(layout), top_k=top_k))
        self._alone = method.kind in POINTWISE
        if window < 2:
            raise ValueError(f"a window must hold at least 2 candidates, not {window}")
        self._window, self._top_k = window, top_k
        self._below = list[tuple[int, float]]()  # who left, best first, and how surely they were kept
        self.stages = self.windows_played = 0
        self._deal(layout)

    @property
    def certified(self) -> bool:
        """Whether the best `top_k` are those of the whole list, if any two candidates compare alike in any company."""
        return self._alone or (self._top_k is not None and self._top_k <= self._window // 2)

    def going_on(self, window: Subset) -> int:
        """How many of a window of this stage go on; in the last one all do."""
        if len(self.windows) == 1 or self._alone:
            return len(window)
        certain = min(self._top_k or 0, self._window // 2, len(window))
        return max((len(window) + 1) // 2, certain)

    def decide(self, index: int, decision: Decision) -> None:
        """Takes a round of a window, by places in it. In elimination only as far as it says who leaves."""
        if self._alone:
            return
        window, named = self.windows[index], decision.named
        if self.kind == "exclude" and len(self.windows) > 1:
            named = named[: max(len(window) - self.going_on(window) - self._gone[index], 0)]
            self._gone[index] += len(named)
        if named:
            asked = tuple([window[i] for i in decision.asked])
            shown = replace(decision, asked=asked, named=tuple([window[i] for i in named]))
            self._decisions.append(shown)

    def end_stage(
        self, outcomes: Sequence[Outcome], logits: Sequence[NDArray[np.float64]] | None = None
    ) -> None:
        """Takes the outcome of each window, by places in it; where they are asked about alone, their logits too."""
        self.stages += 1
        self.windows_played += len(self.windows)
        if self._alone:
            assert logits is not None
            self._merge(np.concatenate(logits))
            return
        going, leaving = list[tuple[int, int]](), list[tuple[int, float, int]]()
        for window, outcome in zip(self.windows, outcomes, strict=True):
            most = self.going_on(window)
            for rank, (place, kept) in enumerate(zip(outcome.order, outcome.kept, strict=True)):
                if len(self.windows) == 1:
                    self._below.insert(rank, (window[place], kept))
                elif rank < most:
                    going.append((rank, window[place]))
                else:
                    leaving.append((rank, -kept, window[place]))
        leaving.sort(key=lambda item: item[:2])
        self._below[:0] = [(place, -kept) for _, kept, place in leaving]
        if going:
            self._deal(tuple([place for _, place in sorted(going, key=lambda item: item[0])]))
        else:
            order, sure = tuple([place for place, _ in self._below]), tuple([kept for _, kept in self._below])
            self._outcome = Outcome(order, sure, tuple(self._decisions))

    def _deal(self, alive: Subset) -> None:
        count = -(-len(alive) // self._window)
        hands = [tuple(sorted(alive[first::count])) for first in range(count)]
        if self._alone:  # nothing is asked about a list of one
            hands = [hand if len(hand) > 1 else (*hand, hands[0][0]) for hand in hands]
        self.windows = hands
        """Of the present stage: whom each shows, by place, in the order of the prompt."""
        self._gone = [0] * count

    def _merge(self, logits: NDArray[np.float64]) -> None:
        everybody = tuple(range(self._episode.n))
        by_place = np.zeros(len(everybody))
        by_place[[place for window in self.windows for place in window]] = logits
        named = by_logit(everybody, by_place, later_first=False)
        self._decisions.append(Decision(everybody, named, probabilities(by_place)))
        self._outcome = select_outcome(len(everybody), self._decisions)
