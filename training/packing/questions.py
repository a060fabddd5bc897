"""What a policy is asked, packed for one forward with gradients: block layouts, or a plan of the engine's sessions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rranker.engine.batch import BatchBuilder
from rranker.engine.kv.cache import KVCache
from rranker.engine.readout import ReadsIdentifiers
from rranker.engine.sessions import BlockQueryState, CausalQueryState, PointwiseQueryState
from rranker.prompts.segments import POINTWISE, Kind, Segments
from rranker.training.packing.chunks import Chunks, build_chunks
from rranker.training.packing.layout import CAUSALLY, Attends, Layout, build_layout

Subset = tuple[int, ...]
"""The candidates a question is about, in prompt order: places in the segments."""


@dataclass(frozen=True)
class Question:
    """One query with everything that is asked about it: the segments and its distinct subsets."""

    segments: Segments
    subsets: tuple[Subset, ...]


@dataclass(frozen=True)
class Packed:
    """One forward's rows, and where to read them.

    `sizes[q]` is how many candidates the q-th question is about, `suffixes[q]` are the rows of its copies ([S]; of
    pointwise kinds [n * reads], what is read of each candidate); `identifiers[q]` are the identifiers' tokens, or those
    of `Segments.targets`. Where candidates stand for themselves, the layout says where they are.
    """

    ids: Tensor  # [T]
    positions: Tensor  # [T]
    structure: Layout | Chunks
    sizes: tuple[int, ...]
    suffixes: tuple[Tensor, ...]
    identifiers: tuple[tuple[int, ...], ...]
    kind: Kind

    def attention(self) -> dict[str, Any]:
        """The keywords that carry the structure to the attention function."""
        return {"layout" if isinstance(self.structure, Layout) else "chunks": self.structure}


def pack(
    questions: Sequence[Question],
    kind: Kind,
    mode: Literal["block", "causal"],
    device: torch.device,
    attends: Attends = CAUSALLY,
) -> Packed:
    """All questions in one forward. One-token suffixes in block mode take the fast three-piece attention.

    Questions of pointwise kinds are about all candidates, each alone. `attends` is the model's: an encoder's suffixes
    are one token.
    """
    if kind not in POINTWISE and mode == "block" and all(len(q.segments.suffix) == 1 for q in questions):
        return _laid_out(questions, kind, device, attends)
    return _planned(questions, kind, mode, device, attends)


def _laid_out(questions: Sequence[Question], kind: Kind, device: torch.device, attends: Attends) -> Packed:
    """Every question gets as many suffix copies as the one with most; the surplus repeats and is not read."""
    most = max(len(q.subsets) for q in questions)
    alive = []
    for q in questions:
        rows = torch.zeros(most, len(q.segments.candidates), dtype=torch.bool)
        for row, subset in zip(rows, [*q.subsets, *[q.subsets[-1]] * (most - len(q.subsets))], strict=True):
            row[list(subset)] = True
        alive.append(rows)
    layout = build_layout(
        [q.segments for q in questions],
        [list(q.segments.suffix) * most for q in questions],
        alive,
        attends,
    ).to(device)
    return Packed(
        layout.ids,
        layout.positions,
        layout,
        tuple(len(q.segments.candidates) for q in questions),
        tuple(layout.suffix[b, : len(q.subsets)] for b, q in enumerate(questions)),
        tuple(q.segments.identifiers for q in questions),
        kind,
    )


def _planned(
    questions: Sequence[Question],
    kind: Kind,
    mode: Literal["block", "causal"],
    device: torch.device,
    attends: Attends,
) -> Packed:
    """As the engine's sessions plan it, everything in one step; what they store, the forward itself holds."""
    builder = BatchBuilder(bidirectional=attends.bidirectional, context_bias=attends.context_bias)
    store = KVCache(layers=0, slots=sys.maxsize)
    for query_index, q in enumerate(questions):
        session: BlockQueryState | CausalQueryState
        if kind in POINTWISE:
            session = PointwiseQueryState(q.segments, kind, store, ReadsIdentifiers())
        elif not q.segments.identifiers:
            raise ValueError(
                "only models that name candidates by an identifier can be re-scored in this mode"
            )
        elif mode == "block":
            session = BlockQueryState(q.segments, kind, store, ReadsIdentifiers())
        else:
            session = CausalQueryState(q.segments, kind, store, ReadsIdentifiers(), branches=len(q.subsets))
        session.open()
        session.plan(builder, query_index, q.subsets)
    plan = builder.build()
    reads = torch.from_numpy(plan.read_rows).to(device)
    return Packed(
        torch.from_numpy(plan.token_ids).to(device),
        torch.from_numpy(plan.positions).to(device),
        build_chunks(plan, device),
        tuple(len(q.segments.candidates) for q in questions),
        torch.split(reads, [_reads(q, kind) for q in questions]),
        tuple(q.segments.targets if kind in POINTWISE else q.segments.identifiers for q in questions),
        kind,
    )


def _reads(question: Question, kind: Kind) -> int:
    """How many rows of the forward answer a question."""
    if kind not in POINTWISE:
        return len(question.subsets)
    each = len(question.segments.targets) if kind == "likelihood" else 1
    return each * len(question.segments.candidates)
