"""Setwise (Zhuang et al. 2024, arXiv 2310.09497): a heap whose every comparison asks for the best of a small set."""

from __future__ import annotations

from typing import ClassVar

from .comparisons import Comparisons
from .outcome import Subset
from .registry import register


@register
class Setwise(Comparisons):
    """Heap sort with `set_size - 1` children a node; one question compares a node and its children.

    Building the heap takes about n / (set_size - 1) questions, each place about log(n) more: few for a small `top_k`.
    Those behind the first k follow as they lie in the heap, level by level.
    """

    name = "setwise"
    set_size: ClassVar[int] = 4

    def __init__(self, n: int, *, top_k: int | None = None) -> None:
        super().__init__(n, top_k=top_k)
        self._heap = list(range(n))
        # Nodes that are no heap yet: 0 … here - 1.
        self._unbuilt = (n - 2) // (self.set_size - 1) + 1 if n > 1 else 0
        self._node = -1  # whose children may be better
        self._settle_next()

    @property
    def asked(self) -> Subset:
        """A node and its children."""
        return (self._heap[self._node], *(self._heap[child] for child in self._children(self._node)))

    @property
    def remaining(self) -> int:
        """Questions at most: as many as the heap has levels, for each node to be built and each place."""
        if len(self.named) >= self.wanted:
            return 0
        levels, reach = 1, 1
        while reach < len(self._heap):
            reach = reach * (self.set_size - 1) + 1
            levels += 1
        return (self._unbuilt + self.wanted - len(self.named)) * levels

    def order(self) -> Subset:
        """Best first: those with a place, then the heap."""
        return (*self.named, *self._heap)

    def _compared(self, best: int) -> None:
        parent = self._heap[self._node]
        if best != parent:
            child = self._heap.index(best)
            self._heap[self._node], self._heap[child] = best, parent
            self._node = child
            if self._children(child):
                return  # whoever went down may have to go further
        self._settle_next()

    def _settle_next(self) -> None:
        """Finds the next node with a question: all parents, from the last one up; then the root, for each place."""
        if self._unbuilt:
            self._unbuilt -= 1
            self._node = self._unbuilt
            return
        while len(self.named) < self.wanted:
            best, last = self._heap[0], self._heap.pop()
            if self._heap:
                self._heap[0] = last
            self._place(best)
            self._node = 0
            if len(self._heap) > 1:
                return

    def _children(self, node: int) -> range:
        first = node * (self.set_size - 1) + 1
        return range(first, min(first + self.set_size - 1, len(self._heap)))
