"""Sizes, timers and the table of `bench.gpu`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sizes:
    """What is timed. `FULL` needs a GPU of 80 GB; `TINY` walks the same path through Triton's interpreter."""

    dtype: torch.dtype
    heads: tuple[int, int]
    head_dim: int
    prefix: int
    candidate: int
    suffix: int
    candidates: int  # per query, for prefill and decode
    queries: int
    long_chunk: int
    decisions: int
    rows: int  # of logprob
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    matmul: int
    copied: int  # bytes
    end_to_end: tuple[tuple[int, int], ...]  # (candidates, queries together)


FULL = Sizes(
    dtype=torch.bfloat16, heads=(16, 2), head_dim=128, prefix=200, candidate=100, suffix=30, candidates=50, queries=16,
    long_chunk=8192, decisions=640, rows=16384, vocabulary=151_936, hidden=2048, intermediate=11008, layers=36,
    matmul=8192, copied=1 << 31, end_to_end=tuple((n, q) for n in (20, 50, 100) for q in (1, 16, 64)),
)  # fmt: skip
TINY = Sizes(
    dtype=torch.float32, heads=(2, 1), head_dim=16, prefix=9, candidate=5, suffix=3, candidates=3, queries=2,
    long_chunk=40, decisions=3, rows=5, vocabulary=300, hidden=64, intermediate=32, layers=1,
    matmul=64, copied=1 << 16, end_to_end=((3, 1), (4, 2)),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One measured thing beside what it is held against.

    ratio: what the goal is about; `at_least` says which way it points. None where nothing could be measured.
    """

    name: str
    ours: str
    other: str
    ratio: float | None = None
    goal: float | None = None
    at_least: bool = True

    def cells(self, measured: bool) -> list[str]:
        if self.goal is None:
            goal = met = ""
        else:
            goal = f"{'≥' if self.at_least else '≤'} {self.goal:.2f}"
            met = "" if self.ratio is None else "yes" if self._met(self.ratio, self.goal) else "no"
        if not measured:
            return [self.name, *["not measured"] * 3, goal, ""]
        return [
            self.name,
            self.ours,
            self.other,
            "" if self.ratio is None else f"{self.ratio:.2f}",
            goal,
            met,
        ]

    def _met(self, ratio: float, goal: float) -> bool:
        return ratio >= goal if self.at_least else ratio <= goal


def table(lines: list[Line], measured: bool) -> str:
    """Markdown. Without a GPU the figures would be the interpreter's: each says "not measured" instead."""
    head = ["| | ours | against | ratio | goal | met |", "|---|---|---|---:|---:|---|"]
    return "\n".join([*head, *("| " + " | ".join(line.cells(measured)) + " |" for line in lines)])


def seconds(work: Callable[[], object], on: torch.device) -> float:
    """Median of repeated runs with a cold L2 cache on a GPU; one run elsewhere."""
    if on.type == "cuda":
        from triton.testing import do_bench

        took: float = do_bench(work, warmup=50, rep=300, return_mode="median")
        return took / 1e3
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def wall_seconds(work: Callable[[], object], on: torch.device, repeat: int = 1) -> float:
    """Median wall time of whole runs, the device idle before and after."""
    times = []
    for _ in range(repeat):
        synchronize(on)
        began = time.perf_counter()
        work()
        synchronize(on)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def warm_seconds(work: Callable[[], object], on: torch.device) -> float:
    """Median wall time of three runs after one that compiles and warms up; one run where nothing is measured."""
    if on.type != "cuda":
        return wall_seconds(work, on)
    work()
    return wall_seconds(work, on, repeat=3)


def synchronize(on: torch.device) -> None:
    if on.type == "cuda":
        torch.cuda.synchronize(on)


def peak_bytes(work: Callable[[], object], on: torch.device) -> int:
    """Most memory that `work` held beyond what was held before; 0 where nobody counts."""
    if on.type != "cuda":
        work()
        return 0
    torch.cuda.synchronize(on)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(on)
    torch.cuda.reset_peak_memory_stats(on)
    work()
    torch.cuda.synchronize(on)
    return torch.cuda.max_memory_allocated(on) - before


def matmul_flops(sizes: Sizes, on: torch.device) -> float:
    """FLOP/s of one large square product: what the attention kernels are measured by."""
    n = sizes.matmul
    a, b = (torch.randn(n, n, device=on, dtype=sizes.dtype) for _ in range(2))
    return 2 * n**3 / seconds(lambda: a @ b, on)


def copy_bandwidth(sizes: Sizes, on: torch.device) -> float:
    """Bytes read and written per second by one large device copy."""
    source = torch.empty(sizes.copied, dtype=torch.uint8, device=on)
    target = torch.empty_like(source)
    return 2 * sizes.copied / seconds(lambda: target.copy_(source), on)
