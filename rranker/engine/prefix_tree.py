"""Causal prompts of several questions as a prefix tree: what they have in common stands in it once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ROOT = 0


class PrefixTree:
    """Prompts that begin with one prefix and go on with some of its candidates, in any order.

    Node 0 is the prefix; any other node is a candidate behind one particular path, since what it attends to is
    all that stands before it. Parents come before their children. Of node v: `places[v]` is its candidate (-1 for the
    prefix), `parents[v]` the node before it (-1), and its tokens have the positions `starts[v]` … `ends[v] - 1`.

    Args:
        prefix: tokens of the prefix.
        lengths: tokens of each candidate.
    """

    def __init__(self, prefix: int, lengths: Sequence[int]) -> None:
        self._lengths = lengths
        self._children: dict[tuple[int, int], int] = {}
        self.places, self.parents, self.starts, self.ends = [-1], [-1], [0], [prefix]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def tokens(self) -> int:
        """Of all nodes together."""
        return sum(self.ends) - sum(self.starts)

    def path(self, subset: Iterable[int]) -> list[int]:
        """The nodes of a subset's prompt, the prefix first; those that are not there yet are added."""
        node, path = ROOT, [ROOT]
        for place in subset:
            known = self._children.get((node, place))
            if known is None:
                known = self._children[node, place] = len(self.places)
                self.places.append(place)
                self.parents.append(node)
                self.starts.append(self.ends[node])
                self.ends.append(self.ends[node] + self._lengths[place])
            node = known
            path.append(node)
        return path

    def above(self, node: int) -> list[int]:
        """The nodes that stand before one on its path, the prefix first."""
        path = []
        while (node := self.parents[node]) >= 0:
            path.append(node)
        return path[::-1]

    def runs(self, nodes: Iterable[int]) -> list[list[int]]:
        """Ascending `nodes`, cut into runs in which each node stands right behind the one before it."""
        runs: list[list[int]] = []
        for node in nodes:
            if runs and self.parents[node] == runs[-1][-1]:
                runs[-1].append(node)
            else:
                runs.append([node])
        return runs

    def found_in(self, other: PrefixTree) -> list[int]:
        """Of each node, the one of `other` (same prefix, same candidates) with the same path; -1 where it has none."""
        same = [ROOT]
        for place, parent in zip(self.places[1:], self.parents[1:], strict=True):
            same.append(other._children.get((same[parent], place), -1))
        return same
