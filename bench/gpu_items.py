"""Items a second of Qwen3-0.6B's shape (random weights): as many as there are, and under an offered load.

Two readings of "ten items, prompts of 300 tokens": each item in a prompt of its own, judged yes or no, of which nothing
is shared; or ten items in one list of 300 tokens, ranked to the end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bench import gpu_end_to_end
from bench.gpu_measure import FULL, Line, Sizes, synchronize
from bench.random_inputs import random_lm, random_segments
from rranker.engine.attention import attention_backend
from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest, Handle
from rranker.methods import Elimination, Greedy, Pointwise
from rranker.prompts import Segments

QUOTED = 1200
"""Items a second on an H100, as quoted of SGLang; neither its source nor how much of a prompt items share was found."""
RATE = 120
"""Queries a second that are offered."""


Maker = Callable[["Load", int, int], EngineRequest]
"""Load, number of a query, size of the vocabulary → its request."""


@dataclass(frozen=True)
class Load:
    """`queries` of `items`; tokens of a prompt, the question's among them."""

    queries: int
    items: int
    prompt: int
    suffix: int


WHOLE, WALKED = Load(480, 10, 300, 8), Load(2, 3, 18, 3)


def model(sizes: Sizes, on: torch.device) -> Any:
    from transformers import Qwen3Config

    whole = sizes is FULL
    config = Qwen3Config(
        vocab_size=sizes.vocabulary,
        hidden_size=1024 if whole else 32,
        intermediate_size=3072 if whole else 32,
        num_hidden_layers=28 if whole else 1,
        num_attention_heads=16 if whole else 2,
        num_key_value_heads=8 if whole else 1,
        head_dim=128 if whole else 16,
        tie_word_embeddings=True,
    )
    return gpu_end_to_end.fused(random_lm(config, dtype=sizes.dtype, on=on))


def lines(sizes: Sizes, on: torch.device) -> Iterator[Line]:
    lm, load = model(sizes, on), WHOLE if sizes is FULL else WALKED
    engine = Engine(
        lm,
        IdentifierReadout(lm),
        attention_mode="block",
        attention_backend=attention_backend("triton"),
        kv_cache_tokens=min(1 << 18, load.queries * load.items * load.prompt),
        max_batch_tokens=gpu_end_to_end.STEP_ROWS,
    )
    engine.runner.price(fused=True)
    vocabulary = int(lm.config.vocab_size)
    ways = {"each in a prompt of its own": _alone, "in one list, all rounds": _listed}
    for name, request in ways.items():

        def requests(count: int, request: Maker = request) -> list[EngineRequest]:
            return [request(load, query, vocabulary) for query in range(count)]

        if on.type == "cuda":
            served(engine, requests(16), None, on)  # compiles
        for rate in (None, RATE):
            seconds, waits = served(engine, requests(load.queries), rate, on)
            reached = load.queries * load.items / seconds
            offered = "all at once" if rate is None else f"{rate} queries a second offered"
            median, late = statistics.median(waits), float(np.quantile(waits, 0.95))
            yield Line(
                f"{load.items} items {name}, {offered}: items/s",
                f"{reached:,.0f} (a query {median * 1e3:.0f} ms, 95 % within {late * 1e3:.0f})",
                f"SGLang, as quoted: {QUOTED:,}",
                reached / QUOTED,
            )


def served(
    engine: Engine, requests: list[EngineRequest], rate: float | None, on: torch.device
) -> tuple[float, list[float]]:
    """Seconds from the first query to the last answer, and how long each query waited.

    Queries come evenly, `rate` a second; None: all at once.
    """
    arrivals = [0.0 if rate is None else query / rate for query in range(len(requests))]
    waits, waiting, coming = list[float](), list[tuple[float, Handle]](), 0
    synchronize(on)
    began = time.perf_counter()
    while coming < len(requests) or waiting:
        now = time.perf_counter() - began
        while coming < len(requests) and arrivals[coming] <= now:
            waiting.append((arrivals[coming], engine.submit(requests[coming])))
            coming += 1
        if not waiting:
            time.sleep(arrivals[coming] - now)
            continue
        engine.step()
        now = time.perf_counter() - began
        for came, handle in waiting:
            if handle.error is not None:
                raise handle.error
            if handle.done:
                waits.append(now - came)
        waiting = [(came, handle) for came, handle in waiting if not handle.done]
    return time.perf_counter() - began, waits


def _alone(load: Load, query: int, vocabulary: int) -> EngineRequest:
    """Yes or no of each item; all but the first of its words are its own."""
    segments = _segments(load, query, vocabulary, 1, load.prompt - 1 - load.suffix)
    return EngineRequest(replace(segments, identifiers=(), targets=(5, 6)), Greedy(Pointwise(load.items)))


def _listed(load: Load, query: int, vocabulary: int) -> EngineRequest:
    """One list in as many tokens as an item alone takes, two thirds of them the items'."""
    length = 2 * load.prompt // 3 // load.items
    prefix = load.prompt - load.items * length - load.suffix
    segments = _segments(load, query, vocabulary, prefix, length)
    return EngineRequest(segments, Greedy(Elimination(load.items)))


def _segments(load: Load, seed: int, vocabulary: int, prefix: int, length: int) -> Segments:
    rng = np.random.default_rng(seed)
    return random_segments(rng, vocabulary, load.items, length, prefix, load.suffix)
