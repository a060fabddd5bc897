"""Counts what Triton would compile, without a GPU: `python -m tests.support.variants` prints it as JSON.

A driver that only says which GPU it is, and Triton's hook before a compilation, which is told the key of each variant
and declines. Kernels are launched as the engine launches them, over steps of many shapes. In a process of its own:
where kernels are interpreted there is nothing to compile.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.engine.batch import Batch, BatchBuilder, Segment

HIDDEN, INNER, HEADS, KV_HEADS, SIZE = 1024, 3072, 16, 8, 128  # Qwen3-0.6B's
DTYPE = torch.bfloat16


def counting() -> dict[str, set[str]]:
    """The keys of variants, by kernel; filled as kernels are launched from now on. Raises LookupError where this
    Triton has no such hook.
    """
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    if not hasattr(knobs.runtime, "jit_cache_hook") or not hasattr(driver, "set_active"):
        raise LookupError("this Triton has no knobs.runtime.jit_cache_hook, or no driver.set_active")
    keys: dict[str, set[str]] = defaultdict(set)

    def decline(*, key: str, fn: Any, **_: Any) -> bool:
        keys[fn.name.rpartition(".")[2]].add(key)
        return True

    knobs.runtime.jit_cache_hook = decline
    driver.set_active(
        SimpleNamespace(
            get_current_target=lambda: GPUTarget("cuda", 90, 32),
            get_current_device=lambda: 0,
            get_current_stream=lambda device: 0,
        )
    )
    return keys


def step(rng: np.random.Generator, queries: int, first: bool) -> Batch:
    """A step of so many queries of 2 to 100 ragged candidates: all of them encoded, or some questions over them."""
    builder, none = BatchBuilder(), np.zeros(0, dtype=np.int64)
    slot = int(rng.integers(0, 50))
    for query in range(queries):
        candidates, prefix = int(rng.integers(2, 101)), int(rng.integers(1, 300))
        lengths = rng.integers(1, 120, size=candidates)
        if first:
            builder.chunk(np.zeros(prefix, dtype=np.int64), 0, none, query, slot)
        seen = [builder.segment(Segment(slot, prefix, 0))]
        slot += prefix
        for length in lengths.tolist():
            if first:
                builder.chunk(np.zeros(length, dtype=np.int64), prefix, np.asarray(seen[:1]), query, slot)
            else:
                seen.append(builder.segment(Segment(slot, length, prefix)))
            slot += length
        for _ in range(0 if first else int(rng.integers(1, 9))):
            some = np.sort(rng.permutation(candidates)[: rng.integers(1, candidates + 1)])
            visible = np.asarray([seen[0], *np.asarray(seen[1:])[some]])
            builder.chunk(np.zeros(rng.integers(1, 9), dtype=np.int64), prefix + 120, visible, query)
    return builder.build()


def launch(rng: np.random.Generator, batch: Batch, store: tuple[torch.Tensor, torch.Tensor]) -> None:
    """All kernels that a step of this batch launches, for one layer."""
    from rranker.kernels.attention.kernel import attention
    from rranker.kernels.gate.kernel import gate
    from rranker.kernels.launch import attention_tile
    from rranker.kernels.norm.kernel import add_norm, norm
    from rranker.kernels.norm.reference import NormKind
    from rranker.kernels.rotary.kernel import rotate
    from rranker.kernels.score.kernel import score
    from rranker.kernels.write.kernel import write

    rows = batch.rows
    query, key, value = (
        torch.empty(1, rows, heads, SIZE, dtype=DTYPE).transpose(1, 2)
        for heads in (HEADS, KV_HEADS, KV_HEADS)
    )
    hidden = torch.empty(1, rows, HIDDEN, dtype=DTYPE)
    kind, weight = NormKind(False, True), torch.ones(HIDDEN, dtype=DTYPE)
    norm(hidden, weight, 1e-6, kind)
    add_norm(hidden, hidden, weight, 1e-6, kind)
    for heads in (query, key):
        norm(heads.transpose(1, 2), torch.ones(SIZE, dtype=DTYPE), 1e-6, kind)
    cos, sin = (torch.empty(1, rows, SIZE, dtype=DTYPE) for _ in range(2))
    query, key = rotate(query, key, cos, sin)
    inner = torch.empty(1, rows, INNER, dtype=DTYPE)
    gate(inner, inner, "silu")
    work = attention_metadata(batch, HEADS // KV_HEADS, KV_HEADS, attention_tile(query[0]).block_m)
    stored = store if len(batch.segment_starts) else (key[0], value[0])
    out = query.new_empty(rows, HEADS, SIZE)
    attention(query[0], key[0], value[0], *stored, work, work.key_words(), out, SIZE**-0.5)
    some = torch.arange(int(rng.integers(1, rows + 1)), dtype=torch.int32)
    write(key[0], value[0], *store, some, some)
    alive = rng.integers(2, int(rng.integers(2, 101)) + 1, size=int(rng.integers(1, 65)))
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(alive)]).astype(np.int32))
    states, head = torch.empty(len(alive), HIDDEN, dtype=DTYPE), torch.empty(512, HIDDEN, dtype=DTYPE)
    score(states, head, torch.zeros(int(alive.sum()), dtype=torch.int32), offsets, int(alive.max()))


def variants() -> dict[str, int]:
    """How many variants of each kernel one model takes: batches of 1 to 64 queries, first steps and later ones."""
    keys, rng = counting(), np.random.default_rng(0)
    store = tuple(torch.empty(KV_HEADS, 1 << 19, SIZE, dtype=DTYPE) for _ in range(2))
    for queries in (1, 1, 1, 2, 3, 7, 16, 33, 64):
        for first in (True, False):
            launch(rng, step(rng, queries, first), store)
    for rows in (1, 15, 16):  # as a query that sees nothing stored
        builder = BatchBuilder()
        builder.chunk(np.zeros(rows, dtype=np.int64), 0, np.zeros(0, dtype=np.int64), 0)
        launch(rng, builder.build(), store)
    return {name: len(some) for name, some in keys.items()}


if __name__ == "__main__":
    assert os.environ.get("TRITON_INTERPRET", "0") in ("", "0")
    print(json.dumps(variants()))
