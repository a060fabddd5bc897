"""Plans of awkward sizes with random keys in a store, for the attention kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rranker.engine.batch import Batch, BatchBuilder, Segment

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# Relative root-mean-square error against float64. An fp16 product of fp16 probabilities has about 3 digits.
TOLERANCE = {torch.float32: 2e-6, torch.float16: 1.5e-3}


@dataclass(frozen=True)
class Problem:
    """A plan over `slots` stored tokens, with all tensors in float64."""

    plan: Batch
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
        """query, key, value, stored_key, stored_value, rounded to `dtype`; the values as a transposed view."""
        parts = [self.query, self.key, self.value, self.stored_key, self.stored_value]
        parts = [x.to(DEVICE, dtype) for x in parts]
        parts[2] = parts[2].transpose(0, 1).contiguous().transpose(0, 1)
        return parts


def problem(chunks, lengths, *, heads=(4, 2), size=64, seed=0, bidirectional=False) -> Problem:
    """chunks: (query_index, rows, segments it sees), in order; lengths: tokens of each stored segment.

    Segments lie in the store in a shuffled order with holes between some of them.
    """
    rng = np.random.default_rng(seed)
    builder, start, segments = BatchBuilder(bidirectional=bidirectional), 3, {}
    for number in rng.permutation(len(lengths)).tolist():
        segments[number] = Segment(start, lengths[number], 0)
        start += lengths[number] + int(rng.integers(0, 2)) * 5
    for number in range(len(lengths)):
        builder.segment(segments[number])
    for query_index, rows, seen in chunks:
        visible = np.asarray([builder.segment(segments[number]) for number in seen], dtype=np.int64)
        builder.chunk(np.zeros(rows, dtype=np.int64), 100, visible, query_index)
    plan, (q_heads, kv_heads) = builder.build(), heads
    torch.manual_seed(seed)

    def normal(*shape):
        # Every value exists in fp16, so that rounding the inputs is no part of the error.
        return torch.randn(*shape).half().double()

    query, key, value = (normal(h, plan.rows, size) for h in (q_heads, kv_heads, kv_heads))
    return Problem(
        plan, query, key, value, normal(kv_heads, start, size), normal(kv_heads, start, size), size**-0.5
    )


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    difference = found.double().cpu() - expected.double().cpu()
    return float(difference.square().mean().sqrt() / expected.double().square().mean().sqrt())
