"""What the host does around the forward passes: milliseconds a step and a question, by part.

`python -m bench.host` ranks 64 queries of 20 candidates together with a model so small that its passes hardly count,
as the Triton backend plans them; attention itself is left out, so the verdicts mean nothing. `tokenising` is what
making a query's prompt takes, for the bundled model and texts of about 40 tokens.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from torch import Tensor

from bench.random_inputs import random_qwen2, random_segments
from rranker import Ranker
from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.engine.batch import Batch, BatchBuilder
from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.readout.gather import StepReader
from rranker.engine.requests import EngineRequest, Handle, Reuse
from rranker.engine.runner import ModelRunner
from rranker.engine.step import Stepper
from rranker.kernels.attention.work import AttentionMetadata
from rranker.methods import Elimination, Greedy
from rranker.prompts import Segments
from rranker.scorers.engine_logits import EngineScorer

QUERIES, CANDIDATES, PREFIX, LENGTH, SUFFIX = 64, 20, 50, 40, 8
VOCABULARY = 512


@dataclass
class _Planned:
    """Work lists as the Triton backend makes them, of a step whose attention is not computed."""

    work: AttentionMetadata

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, window: int | None
    ) -> Tensor:
        return query.transpose(1, 2).contiguous()


class PlanOnly:
    """An attention backend that plans and computes nothing."""

    kernels = False

    def prepare(self, batch: Batch, store: object, transfer: object, windows: object) -> _Planned:
        return _Planned(attention_metadata(batch, 8, 2, 128))


def prompt(seed: int) -> Segments:
    return random_segments(np.random.default_rng(seed), VOCABULARY, CANDIDATES, LENGTH, PREFIX, SUFFIX)


@contextmanager
def clocked(parts: dict[str, tuple[type, str]]) -> Iterator[dict[str, float]]:
    """While it lasts, the seconds spent in each of these methods are added up, under its part's name."""
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                spent[name] += time.thread_time() - began

        return call

    patches = [
        patch.object(owner, method, timed(name, getattr(owner, method)))
        for name, (owner, method) in parts.items()
    ]
    for each in patches:
        each.start()
    try:
        yield spent
    finally:
        for each in patches:
            each.stop()


PARTS: dict[str, tuple[type, str]] = {
    "questions and what they see": (Stepper, "_plan"),
    "arrays of the step": (BatchBuilder, "build"),
    "attention's work lists": (PlanOnly, "prepare"),
    "what the readout looks up": (StepReader, "__init__"),
    "verdicts": (Handle, "update"),
    "forward pass": (ModelRunner, "hidden"),
    "all of the step": (Stepper, "forward"),
}


def one_run(engine: Engine, reuse: Reuse = "keep") -> tuple[int, int, dict[str, float]]:
    """Steps, questions asked, and seconds by part, of all rounds of all queries."""
    anew = engine.attention_mode == "causal" and reuse == "exact"
    how: dict[str, Any] = {"relayout": "best_first", "nested": True} if anew else {}
    players = [Greedy(Elimination(CANDIDATES), **how) for _ in range(QUERIES)]
    requests = [EngineRequest(prompt(seed), player, reuse=reuse) for seed, player in enumerate(players)]
    asked, subsets = [0], Greedy.subsets

    def counted(player: Greedy, depth: int) -> Any:
        found = subsets(player, depth)
        asked[0] += len(found)
        return found

    with clocked(PARTS) as spent, patch.object(Greedy, "subsets", counted):
        handles = list(engine.run(requests))
    for handle in handles:
        if handle.error is not None:
            raise handle.error
    return max(handle.passes for handle in handles), asked[0], spent


def tokenising(queries: int = 16) -> float:
    """Seconds a query: texts to the segments of a prompt."""
    text = "the quick brown fox jumps over the lazy dog and finds its way home across the river "
    batch = [(f"{text}{q}", [f"{text * 2}{q} {i}" for i in range(CANDIDATES)]) for q in range(queries)]
    with Ranker(device="cpu") as ranker, clocked({"": (EngineScorer, "prepare")}) as spent:
        ranker.rank_batch(batch, method="dranker", progress=False)
    return spent[""] / queries


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.host", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="the median of so many is taken")
    parser.add_argument("--causal", choices=["exact", "keep"], help="causal attention in place of block's")
    options = parser.parse_args()
    lm = random_qwen2(VOCABULARY, hidden=8, intermediate=8, layers=1, heads=(2, 1))
    engine = Engine(
        lm,
        IdentifierReadout(lm),
        attention_mode="causal" if options.causal else "block",
        attention_backend=PlanOnly(),
        kv_cache_tokens=QUERIES * (PREFIX + CANDIDATES * LENGTH),
        max_batch_tokens=1 << 20,
    )
    reuse: Reuse = options.causal or "keep"
    one_run(engine, reuse)
    runs = [one_run(engine, reuse) for _ in range(options.repeat)]
    steps, questions, _ = runs[0]
    print(f"{QUERIES} queries of {CANDIDATES} candidates: {steps} steps, {questions} questions\n")
    print("| | ms a step | ms a question |\n|---|---:|---:|")
    for name in PARTS:
        took = statistics.median(spent[name] for _, _, spent in runs) * 1e3
        print(f"| {name} | {took / steps:.3f} | {took / questions:.4f} |")
    print(f"\ntokenising: {tokenising() * 1e3:.2f} ms a query")


if __name__ == "__main__":
    main()
