"""Causal attention: what a fresh forward of each round's prompt would say, encoding only what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ...prompts.segments import Kind, Segments
from ..batch import BatchBuilder, Ints, Segment
from ..kv.allocator import SlotAllocator
from ..kv.cache import KVCache
from ..prefix_tree import ROOT, PrefixTree
from ..readout.request import Subset
from .base import Context, QueryStateBase, ReadsStates

_NONE = -1


@dataclass(frozen=True, slots=True)
class _Stored:
    """Of each node of a tree: its first slot in the extent, and its row in the states; -1 where it has none."""

    tree: PrefixTree
    slots: list[int]
    rows: list[int]


class CausalQueryState(QueryStateBase):
    """Prompts as a prefix tree: the keys of a node are stored once, for all questions whose prompts go through it.

    A step keeps the nodes that its questions go through, gives up all others, and encodes what is missing, one chunk a
    run of new nodes. There is room for the candidates `branches` times: enough for any questions of which at most so
    many are not the beginning of another one. Where the free slots lie too scattered for a new run, all behind the
    prefix is encoded anew. With one branch they never do: its prompt lies end to end, slot = position.
    See `QueryState`.
    """

    def __init__(
        self, segments: Segments, kind: Kind, store: KVCache, readout: ReadsStates, branches: int = 1
    ) -> None:
        super().__init__(segments, kind, store, readout, branches)
        self._stored = self._planned = _Stored(self._empty(), [_NONE], [_NONE])
        self._sources: Tensor | None = None

    def plan(self, builder: BatchBuilder, query_index: int, subsets: Sequence[Subset]) -> None:
        """Adds a step to `builder`: what of its prompts is not stored yet, then one suffix a question.

        Raises ValueError when there are more independent questions than the slots have room for.
        """
        paths, numbers, rows, tree = self._laid(builder, query_index, subsets)
        after = np.asarray([tree.ends[path[-1]] for path in paths], dtype=np.int64)
        nothing, nodes = np.zeros(0, dtype=np.int64), [tuple(path) for path in paths]
        # Seen by nobody, so the keys and values of suffix copies stay out of the store.
        first = builder.questions(self._suffix, after, nothing, numbers, nodes, query_index)
        self._suffix_reads = range(first, first + len(paths))
        self._subsets = [tuple([rows[node] for node in path[1:]]) for path in paths]

    def context(self, builder: BatchBuilder, query_index: int, subset: Subset) -> Context:
        """See `QueryStateBase.context`. With one branch a prompt lies end to end, and text right behind it."""
        (path,), numbers, _, tree = self._laid(builder, query_index, [subset])
        end = tree.ends[path[-1]]
        return Context(numbers[path], end, self._begin() + end)

    def _laid(
        self, builder: BatchBuilder, query_index: int, subsets: Sequence[Subset]
    ) -> tuple[list[list[int]], Ints, list[int], PrefixTree]:
        """Encodes what is missing of the prompts. Their paths, each node's segment and row of states, and the tree."""
        start, tree = self._begin(), self._empty()
        paths = [tree.path(subset) for subset in subsets]
        if tree.tokens > self.slots:
            raise ValueError(
                f"the prompts of this step take {tree.tokens} slots and {self.slots} are reserved: "
                "an EngineRequest needs as many `branches` as it asks independent questions in one step"
            )
        kept = self._kept(tree)
        slots = _placed(tree, kept.slots, self.slots)
        if slots is None:
            kept = _Stored(tree, [kept.slots[ROOT], *[_NONE] * (len(tree) - 1)], [_NONE] * len(tree))
            slots = _placed(tree, kept.slots, self.slots)
            assert slots is not None, "one free run holds all that the check above let through"
        rows = _state_rows(tree, len(self._candidates)) if self._needs_states else tree.places
        numbers = self._segments(builder, tree, slots, start)
        lasts = list[int]()
        for run in _missing(tree, kept.slots):
            begin, sees = tree.starts[run[0]], numbers[tree.above(run[0])]
            tokens = np.concatenate([self._tokens(tree.places[node]) for node in run])
            first = builder.chunk(tokens, begin, sees, query_index, start + slots[run[0]])
            lasts += [first + tree.ends[node] - begin - 1 for node in run if node != ROOT]
        self._read_states(builder, np.asarray(lasts, dtype=np.int64))
        if self._needs_states:
            self._sources = self._moved(builder, kept.rows, rows, len(lasts))
        # The pass overwrites what it does not keep: should it fail, only that is still there.
        self._stored, self._planned = kept, _Stored(tree, slots, rows)
        return paths, numbers, rows, tree

    def _commit(self, fresh: Tensor | None) -> None:
        self._stored = self._planned
        if self._needs_states:
            have = [states for states in (self._states, fresh) if states is not None]
            states = torch.cat(have) if len(have) > 1 else have[0]
            self._states = states if self._sources is None else states.index_select(0, self._sources)

    def _moved(
        self, builder: BatchBuilder, before: Sequence[int], rows: Sequence[int], fresh: int
    ) -> Tensor | None:
        """The states of the tree, a row a node, taken from those there are and behind them `fresh` ones: which.

        Old ones are at `before`; the other nodes take the fresh ones in turn. None: all stay where they are.
        """
        old_rows = 0 if self._states is None else len(self._states)
        fresh_rows, have = count(old_rows), old_rows + fresh
        # Rows of candidates that no prompt shows are read by nobody: any will do, best the one that is there.
        sources = np.minimum(np.arange(max(len(self._candidates), max(rows) + 1)), have - 1)
        for row, old in zip(rows[1:], before[1:], strict=True):
            sources[row] = next(fresh_rows) if old < 0 else old
        # Nothing to move, no indices to send.
        return None if np.array_equal(sources, np.arange(have)) else builder.carry(sources)

    def _kept(self, tree: PrefixTree) -> _Stored:
        """What of a tree is stored already."""
        stored = self._stored
        same = tree.found_in(stored.tree)
        return _Stored(
            tree,
            [stored.slots[node] if node >= 0 else _NONE for node in same],
            [stored.rows[node] if node >= 0 else _NONE for node in same],
        )

    def _segments(self, builder: BatchBuilder, tree: PrefixTree, slots: Sequence[int], start: int) -> Ints:
        spans = zip(slots, tree.starts, tree.ends, strict=True)
        numbers = [builder.segment(Segment(start + slot, end - begin, begin)) for slot, begin, end in spans]
        return np.asarray(numbers, dtype=np.int64)

    def _tokens(self, index: int) -> Ints:
        return self._candidates[index] if index >= 0 else self._prefix

    def _empty(self) -> PrefixTree:
        return PrefixTree(len(self._prefix), self._lengths.tolist())


def _missing(tree: PrefixTree, slots: Sequence[int]) -> list[list[int]]:
    """Runs of nodes that have no slot yet."""
    return tree.runs([node for node, slot in enumerate(slots) if slot < 0])


def _placed(tree: PrefixTree, kept: Sequence[int], capacity: int) -> list[int] | None:
    """First slots of all nodes, each missing run in the first free slots that hold it; None where there are none."""
    free, at = SlotAllocator(0, 0), 0
    taken = [
        (slot, slot + tree.ends[node] - tree.starts[node]) for node, slot in enumerate(kept) if slot >= 0
    ]
    for begin, end in [*sorted(taken), (capacity, capacity)]:
        if begin > at:
            free.release(at, begin - at)
        at = end
    slots = list(kept)
    for run in _missing(tree, kept):
        first = free.allocate(tree.ends[run[-1]] - tree.starts[run[0]])
        if first is None:
            return None
        for node in run:
            slots[node] = first + tree.starts[node] - tree.starts[run[0]]
    return slots


def _state_rows(tree: PrefixTree, candidates: int) -> list[int]:
    """A row for each node's state: a candidate's place for its first node, rows behind all places for its others."""
    rows, seen, further = [_NONE], set[int](), count(candidates)
    for place in tree.places[1:]:
        rows.append(next(further) if place in seen else place)
        seen.add(place)
    return rows
