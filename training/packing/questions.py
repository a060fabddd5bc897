"""What a policy is asked, packed for one forward with gradients: block layouts, or a tree of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

from rranker.prompts.segments import Kind, Segments
from rranker.training.packing.layout import Layout, build_layout

Ask = tuple[int, ...]
"""The candidates a question is about, in prompt order: places in the segments."""


@dataclass(frozen=True)
class Question:
    """One query with everything that is asked about it: the segments and its distinct asks."""

    segments: Segments
    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Packed:
    """One forward's rows, and where to read them.

    `ends[q]` and `suffixes[q]` are rows of the q-th question's candidates ([n], empty where a label stands
    for the candidate) and asks ([S]); `labels[q]` are the identifiers' tokens.
    """

    ids: Tensor  # [T]
    positions: Tensor  # [T]
    layout: Layout | None
    mask: Tensor | None  # [1, 1, T, T], 0 or -inf
    ends: tuple[Tensor, ...]
    suffixes: tuple[Tensor, ...]
    labels: tuple[tuple[int, ...], ...]
    kind: Kind

    def attention(self) -> dict[str, Any]:
        """The keywords that carry the structure to the attention function."""
        return {"layout": self.layout} if self.layout is not None else {"attention_mask": self.mask}


def pack(
    questions: Sequence[Question], kind: Kind, mode: Literal["block", "causal"], device: torch.device
) -> Packed:
    """All questions in one forward. One-token suffixes in block mode take the fast three-piece attention."""
    if mode == "block" and all(len(q.segments.suffix) == 1 for q in questions):
        return _laid_out(questions, kind, device)
    return _tree(questions, kind, mode, device)


def _laid_out(questions: Sequence[Question], kind: Kind, device: torch.device) -> Packed:
    """Every question gets as many suffix copies as the one with most; the surplus repeats and is not read."""
    most = max(len(q.asks) for q in questions)
    alive = []
    for q in questions:
        rows = torch.zeros(most, len(q.segments.candidates), dtype=torch.bool)
        for row, ask in zip(rows, [*q.asks, *[q.asks[-1]] * (most - len(q.asks))], strict=True):
            row[list(ask)] = True
        alive.append(rows)
    layout = build_layout(
        [q.segments for q in questions], [list(q.segments.suffix) * most for q in questions], alive
    )
    moved = {f.name: getattr(layout, f.name).to(device) for f in fields(layout)}
    layout = replace(layout, **moved)
    return Packed(
        layout.ids,
        layout.positions,
        layout,
        None,
        tuple(layout.ends[b, : len(q.segments.candidates)] for b, q in enumerate(questions)),
        tuple(layout.suffix[b, : len(q.asks)] for b, q in enumerate(questions)),
        tuple(q.segments.labels for q in questions),
        kind,
    )


class _Tree:
    """Prompts that share what they have in common: a node is a run of tokens that sees some earlier nodes."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.nodes: list[tuple[int, int, tuple[int, ...]]] = []

    def add(self, tokens: Sequence[int], position: int, sees: tuple[int, ...]) -> int:
        first = len(self.ids)
        self.ids += tokens
        self.positions += range(position, position + len(tokens))
        self.nodes.append((first, len(self.ids), sees))
        return len(self.nodes) - 1

    def last(self, node: int) -> int:
        return self.nodes[node][1] - 1

    def mask(self) -> Tensor:
        size = len(self.ids)
        seen = torch.zeros(size, size, dtype=torch.bool)
        for first, end, sees in self.nodes:
            seen[first:end, first:end] = torch.ones(end - first, end - first).tril().bool()
            for other in sees:
                begin, stop, _ = self.nodes[other]
                seen[first:end, begin:stop] = True
        return torch.zeros(1, 1, size, size).masked_fill_(~seen, -torch.inf)


def _tree(
    questions: Sequence[Question], kind: Kind, mode: Literal["block", "causal"], device: torch.device
) -> Packed:
    tree, suffixes = _Tree(), []
    for q in questions:
        if not q.segments.labels:
            raise ValueError("only models that name candidates by a label can be re-scored in this mode")
        grow = _grow_block if mode == "block" else _grow_causal
        suffixes.append(torch.tensor([tree.last(node) for node in grow(tree, q)], device=device))
    nothing = torch.zeros(0, dtype=torch.long, device=device)
    return Packed(
        torch.tensor(tree.ids, device=device),
        torch.tensor(tree.positions, device=device),
        None,
        tree.mask().to(device),
        tuple(nothing for _ in questions),
        tuple(suffixes),
        tuple(q.segments.labels for q in questions),
        kind,
    )


def _grow_block(tree: _Tree, q: Question) -> list[int]:
    s = q.segments
    prefix = tree.add(s.prefix, 0, ())
    candidates = [tree.add(tokens, len(s.prefix), (prefix,)) for tokens in s.candidates]
    after = len(s.prefix) + max(map(len, s.candidates))
    return [tree.add(s.suffix, after, (prefix, *(candidates[i] for i in ask))) for ask in q.asks]


def _grow_causal(tree: _Tree, q: Question) -> list[int]:
    """A trie: two rounds share their prompts up to the first candidate in which they differ."""
    s = q.segments
    paths: dict[Ask, tuple[int, ...]] = {(): (tree.add(s.prefix, 0, ()),)}
    ends: dict[Ask, int] = {(): len(s.prefix)}
    asked = []
    for ask in q.asks:
        for depth in range(1, len(ask) + 1):
            path, parent = ask[:depth], ask[: depth - 1]
            if path not in paths:
                tokens = s.candidates[ask[depth - 1]]
                paths[path] = (*paths[parent], tree.add(tokens, ends[parent], paths[parent]))
                ends[path] = ends[parent] + len(tokens)
        asked.append(tree.add(s.suffix, ends[ask], paths[ask]))
    return asked
