"""Tournament: the best of small groups meet; whoever lost to the winner comes back for the next place."""

from __future__ import annotations

from typing import ClassVar

from .comparisons import Comparisons
from .outcome import Subset
from .registry import register


@register
class Tournament(Comparisons):
    """Tournament sort (Knuth, vol. 3, §5.2.3), with questions about up to `group_size` candidates.

    Only those who lost to nobody without a place are compared, so each loses once, and the results are a forest. When
    one is left that nobody beat, it takes the next place, and those who lost to it come back. A place is given only to
    who is known to be better than all behind it: with `top_k` it stops as soon as the top k cannot change, if answers
    do not contradict each other. The first place takes about n / (group_size - 1) questions, each further one about
    log(n) / log(group_size). Those behind k follow with the most beaten first.
    """

    name = "tournament"
    group_size: ClassVar[int] = 8

    def __init__(self, n: int, *, top_k: int | None = None) -> None:
        super().__init__(n, top_k=top_k)
        self._unbeaten = list(range(n))
        self._beaten: dict[int, Subset] = {}  # by whom: who lost to it
        self._sizes = [1] * n  # how many are known to be no better than each, itself among them
        self._give_places()

    @property
    def asked(self) -> Subset:
        """Of those who lost to nobody, the ones who have beaten fewest: so the tree stays flat."""
        least = sorted(self._unbeaten, key=lambda place: (self._sizes[place], place))
        return tuple(sorted(least[: self.group_size]))

    @property
    def remaining(self) -> int:
        """Questions at most, were each place to take as many as the present one may."""
        if len(self.named) >= self.wanted:
            return 0
        present = -(-(len(self._unbeaten) - 1) // (self.group_size - 1))
        return present + (self.wanted - len(self.named) - 1) * (1 + len(self.left) // (self.group_size - 1))

    def order(self) -> Subset:
        """Best first: those with a place, then the trees of those who lost to nobody."""
        rest, level = list[int](), self._unbeaten
        while level:
            level = sorted(level, key=lambda place: (-self._sizes[place], place))
            rest += level
            level = [loser for place in level for loser in self._beaten.get(place, ())]
        return (*self.named, *rest)

    def _compared(self, best: int) -> None:
        losers = tuple([place for place in self.asked if place != best])
        self._beaten[best] = (*self._beaten.get(best, ()), *losers)
        self._sizes[best] += sum(self._sizes[place] for place in losers)
        self._unbeaten = [place for place in self._unbeaten if place not in losers]
        self._give_places()

    def _give_places(self) -> None:
        while len(self._unbeaten) == 1 and len(self.named) < self.wanted:
            (best,) = self._unbeaten
            self._place(best)
            self._unbeaten = list(self._beaten.get(best, ()))
