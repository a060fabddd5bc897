"""IRanker over a model of Qwen2.5-3B's shape with random weights: the engine, one plain forward, the naive loop."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.gpu_measure import Line, Sizes, wall_seconds, warm_seconds
from bench.random_inputs import random_qwen2, random_segments
from rranker.engine.attention import attention_backend
from rranker.engine.attention.transformers_hook import use_engine_attention
from rranker.engine.engine import Engine
from rranker.engine.fused import fuse
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.self_check import self_check
from rranker.methods import Elimination, Greedy
from rranker.prompts import Segments

# Rows of one step: enough to fill a GPU many times over.
STEP_ROWS = 32768
# Sequences of one plain forward at a time, so that its activations stay small.
BATCH = 4


def model(sizes: Sizes, on: torch.device) -> Any:
    shape = sizes.vocabulary, sizes.hidden, sizes.intermediate, sizes.layers, sizes.heads
    return random_qwen2(*shape, dtype=sizes.dtype, on=on)


def end_to_end_lines(sizes: Sizes, on: torch.device) -> Iterator[Line]:
    lm = model(sizes, on)
    ours_lm = fused(lm)
    longest = max(n * q for n, q in sizes.end_to_end)
    slots = longest * sizes.candidate + max(q for _, q in sizes.end_to_end) * sizes.prefix
    engine, sequential = (
        Engine(
            ours_lm,
            IdentifierReadout(ours_lm),
            attention_mode="block",
            attention_backend=attention_backend("triton"),
            kv_cache_tokens=slots,
            max_batch_tokens=STEP_ROWS,
            speculate=speculate,
        )
        for speculate in (True, False)
    )
    for each in (engine, sequential):
        each.runner.price(fused=True)
    error = self_check(ours_lm, engine.runner, "block")
    yield Line(
        "end to end: the engine's self-check against dense masks",
        f"{error:.1e}",
        "refused above its tolerance",
    )
    said = list[str]()
    for n, queries in sizes.end_to_end:
        use_engine_attention(ours_lm)
        ours = warm_seconds(partial(rank, engine, sizes, n, queries, said), on)
        rounds = warm_seconds(partial(rank, sequential, sizes, n, queries, list[str]()), on)
        length = sizes.prefix + n * sizes.candidate + sizes.suffix
        forward, fused_forward = (_forward_seconds(each, length, queries, on) for each in (lm, ours_lm))
        naive = queries * _whole_prompts(lm, sizes, n, on)
        goal = 1.25 if (n, queries) == (50, 16) else None
        name = f"end to end, n = {n}, {queries} together"
        yield Line(
            f"{name}: all rounds (s), over one eager forward's",
            f"{ours:.3f} ({said[-1]})",
            f"forward {forward:.3f}",
            ours / forward,
            goal,
            at_least=False,
        )
        yield Line(
            f"{name}: all rounds over one fused forward's",
            f"{ours:.3f}",
            f"fused forward {fused_forward:.3f}",
            ours / fused_forward,
        )
        yield Line(
            f"{name}: round by round, its time over ours", f"{ours:.3f}", f"{rounds:.3f}", rounds / ours
        )
        yield Line(f"{name}: naive loop's time over ours", f"{ours:.3f}", f"naive {naive:.1f}", naive / ours)


def fused(lm: Any) -> Any:
    """A copy that runs on fused kernels, as a loaded model does on CUDA; its weights are the model's own."""
    shared = {id(weight): weight for weight in lm.parameters()}
    made = copy.deepcopy(lm, shared)
    fuse(made)
    return made


def _forward_seconds(lm: Any, length: int, queries: int, on: torch.device) -> float:
    lm.set_attn_implementation("sdpa")
    _plain(lm, length, min(queries, BATCH))  # lets the libraries choose their algorithms
    return warm_seconds(partial(_plain, lm, length, queries), on)


def rank(engine: Engine, sizes: Sizes, n: int, queries: int, said: list[str]) -> None:
    """Ranks; adds to `said` its passes and guesses: random weights repeat themselves, which flatters guessing."""
    requests = [EngineRequest(_prompt(sizes, n, query), Greedy(Elimination(n))) for query in range(queries)]
    handles = list(engine.run(requests))
    for handle in handles:
        if handle.error is not None:
            raise handle.error
    hits, misses = (sum(handle.guesses[column] for handle in handles) for column in (0, 1))
    said.append(f"{max(handle.passes for handle in handles)} passes, {hits} hits, {misses} misses")


def _prompt(sizes: Sizes, n: int, seed: int) -> Segments:
    lengths = sizes.candidate, sizes.prefix, sizes.suffix
    return random_segments(np.random.default_rng(seed), sizes.vocabulary, n, *lengths)


@torch.inference_mode()
def _plain(lm: Any, length: int, queries: int) -> None:
    """One forward of every query's whole prompt, with transformers' SDPA; the last token's logits only."""
    for first in range(0, queries, BATCH):
        count = min(BATCH, queries - first)
        ids = torch.arange(count * length, device=lm.device).view(count, length) % lm.config.vocab_size
        lm(input_ids=ids, use_cache=False, logits_to_keep=1)


def _whole_prompts(lm: Any, sizes: Sizes, n: int, on: torch.device) -> float:
    """Seconds of one query's loop: a whole prompt every round; rounds between four measured sizes interpolated."""
    rounds = np.arange(2, n + 1)
    measured = np.unique(np.linspace(2, n, 4).round().astype(int))
    lengths = [sizes.prefix + int(alive) * sizes.candidate + sizes.suffix for alive in measured]
    _plain(lm, lengths[0], 1)
    times = [wall_seconds(partial(_plain, lm, length, 1), on) for length in lengths]
    return float(np.interp(rounds, measured, times).sum())
