"""Plans of awkward sizes with random keys in a store, for the attention kernels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from rranker.engine.attention.reference import dense_mask, stored_keys
from rranker.engine.batch import Batch, BatchBuilder, Segment

Chunks = list[tuple[int, int, list[int]]]
"""(query index, rows, segments it sees), in order."""

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(backend: str) -> torch.device:
    """Where an attention backend is tested: Triton's kernels run on a GPU, and interpreted only where there is none."""
    return DEVICE if backend == "triton" else torch.device("cpu")


# Relative root-mean-square error against float64: what is left of the digits of a softmax's weights, which are rounded
# to the dtype before they meet the values, and of the result.
TOLERANCE = {torch.float32: 2e-6, torch.float16: 1.5e-3, torch.bfloat16: 1e-2}


@dataclass(frozen=True)
class Problem:
    """A plan over `slots` stored tokens, with all tensors in float64."""

    plan: Batch
    segments: list[Segment]
    query: torch.Tensor  # [Hq, T, D]
    key: torch.Tensor  # [Hk, T, D]
    value: torch.Tensor
    stored_key: torch.Tensor  # [Hk, slots, D]
    stored_value: torch.Tensor
    scaling: float

    @property
    def groups(self) -> int:
        return self.query.shape[0] // self.key.shape[0]

    def tensors(self, dtype: torch.dtype) -> list[torch.Tensor]:
        """query, key, value, stored_key, stored_value, rounded to `dtype`, laid out as the engine hands them over."""
        rows = [x.to(DEVICE, dtype).transpose(0, 1).contiguous() for x in (self.query, self.key, self.value)]
        stored = [x.to(DEVICE, dtype) for x in (self.stored_key, self.stored_value)]
        return [*(x.transpose(0, 1) for x in rows), *stored]

    def part(self, chunks: Chunks, first: int = 0) -> Problem:
        """Some neighbouring chunks alone, which begin at row `first`."""
        plan = planned(chunks, self.segments, self.plan.bidirectional)
        rows = slice(first, first + plan.rows)
        own = {name: getattr(self, name)[:, rows] for name in ("query", "key", "value")}
        return replace(self, plan=plan, **own)

    def unspoiled(self) -> Problem:
        """With zeros in the place of NaN."""
        stored = {name: getattr(self, name).nan_to_num() for name in ("stored_key", "stored_value")}
        return replace(self, **stored)

    def spoiled(self) -> Problem:
        """With NaN in every slot that no chunk sees."""
        unseen = torch.ones(self.stored_key.shape[1], dtype=torch.bool)
        for segment in np.unique(self.plan.visible):
            start = int(self.plan.segment_starts[segment])
            unseen[start : start + int(self.plan.segment_lengths[segment])] = False
        stored = {name: getattr(self, name).clone() for name in ("stored_key", "stored_value")}
        for tensor in stored.values():
            tensor[:, unseen] = torch.nan
        return replace(self, **stored)


def planned(chunks: Chunks, segments: list[Segment], bidirectional: bool) -> Batch:
    builder = BatchBuilder(bidirectional=bidirectional)
    for segment in segments:
        builder.segment(segment)
    for query_index, rows, seen in chunks:
        visible = np.asarray([builder.segment(segments[number]) for number in seen], dtype=np.int64)
        builder.chunk(np.zeros(rows, dtype=np.int64), 100, visible, query_index)
    return builder.build()


def problem(
    chunks: Chunks,
    lengths: list[int],
    *,
    heads=(4, 2),
    size=64,
    seed=0,
    bidirectional=False,
    shuffled=True,
) -> Problem:
    """chunks: (query_index, rows, segments it sees), in order; lengths: tokens of each stored segment.

    `shuffled`: segments lie in the store in a shuffled order with holes between some of them; else end to end.
    """
    rng = np.random.default_rng(seed)
    start, segments = 3, {}
    for number in rng.permutation(len(lengths)).tolist() if shuffled else range(len(lengths)):
        segments[number] = Segment(start, lengths[number], 0)
        start += lengths[number] + (int(rng.integers(0, 2)) * 5 if shuffled else 0)
    ordered = [segments[number] for number in range(len(lengths))]
    plan, (q_heads, kv_heads) = planned(chunks, ordered, bidirectional), heads
    torch.manual_seed(seed)

    def normal(*shape):
        # Every value exists in bf16 and fp16, so that rounding the inputs is no part of the error.
        return torch.randn(*shape).bfloat16().half().double()

    query, key, value = (normal(h, plan.rows, size) for h in (q_heads, kv_heads, kv_heads))
    stored = normal(kv_heads, start, size), normal(kv_heads, start, size)
    return Problem(plan, ordered, query, key, value, *stored, size**-0.5)


def dense_attention(case: Problem, bias: float = 0.0) -> torch.Tensor:
    """[T, Hq, D] in float64, by the mask that the plan stands for; it knows nothing of any kernel's work."""
    slots = torch.from_numpy(stored_keys(case.plan)[0])
    mask = torch.from_numpy(dense_mask(case.plan, None))
    keys = torch.cat([case.stored_key[:, slots], case.key], 1).repeat_interleave(case.groups, 0)
    values = torch.cat([case.stored_value[:, slots], case.value], 1).repeat_interleave(case.groups, 0)
    scores = case.query @ keys.transpose(1, 2) * case.scaling
    scores[..., : len(slots)] += bias
    return (scores.masked_fill(~mask, -torch.inf).softmax(-1) @ values).transpose(0, 1)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    difference = found.double().cpu() - expected.double().cpu()
    return float(difference.square().mean().sqrt() / expected.double().square().mean().sqrt())
