"""Random plans for the attention kernel: a seed is a plan, whatever the heads it is played on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.support.kernel_problems import Chunks, Problem, problem

HEADS = ((1, 1), (3, 3), (4, 2), (6, 2), (8, 1), (10, 5), (14, 2), (16, 8))
"""Query heads and KV heads: one for each, few and many that share, numbers that are no power of 2."""
SIZES = (12, 16, 64, 80, 128, 256)


@dataclass(frozen=True)
class RandomPlan:
    """Chunks over stored segments; `split`, `tiles`: what `triton_metadata.SPLIT` and `TILES` are for it."""

    seed: int
    chunks: Chunks
    lengths: list[int]
    bidirectional: bool
    bias: float
    split: int
    tiles: int

    def on(self, heads: tuple[int, int], size: int) -> Problem:
        """With random keys and queries, and NaN in every slot that nobody sees."""
        case = problem(
            self.chunks,
            self.lengths,
            heads=heads,
            size=size,
            seed=self.seed,
            bidirectional=self.bidirectional,
        )
        return case.spoiled()


def random_plan(seed: int) -> RandomPlan:
    """One or two queries; chunks that see nothing, all, or any of their query's segments, some of them empty."""
    rng = np.random.default_rng(seed)
    chunks, lengths = Chunks(), list[int]()
    for query in range(int(rng.integers(1, 3))):
        first = len(lengths)
        lengths += rng.choice([0, 1, 7, 33, 64, 65, 130], size=rng.integers(1, 5)).tolist()
        for _ in range(int(rng.integers(1, 5))):
            seen = first + rng.permutation(len(lengths) - first)[: rng.integers(0, len(lengths) - first + 1)]
            chunks.append((query, int(rng.choice([1, 1, 2, 3, 9, 20])), seen.tolist()))
    return RandomPlan(
        seed,
        chunks,
        lengths,
        bool(rng.random() < 0.3),
        float(rng.choice([0.0, 0.0, -2.0, 3.0])),
        int(rng.choice([1, 1, 2])),
        int(rng.choice([1, 8])),
    )
