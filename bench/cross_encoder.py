"""What users pick today: a cross-encoder of MiniLM-L6's shape, random weights, one forward over all pairs.

`python -m bench.cross_encoder` times it and the bundled model's full elimination, both warm, in one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.random_inputs import random_cross_encoder
from bench.workloads import Elimination, default_subject, prompt

CANDIDATES, LENGTH, QUERY = 20, 40, 24


def minilm(dtype: torch.dtype) -> Callable[[], Any]:
    """One forward over 20 pairs of a 24-token query and a 40-token passage, as `[CLS] query [SEP] passage [SEP]`."""
    model = random_cross_encoder(30522, dtype)
    ids = torch.randint(1000, 30000, (CANDIDATES, QUERY + LENGTH + 3))

    def forward() -> Any:
        with torch.inference_mode():
            return model(input_ids=ids).logits

    return forward


def elimination() -> Callable[[], Any]:
    """All 19 rounds over 20 candidates of 40 tokens, by the bundled model, with nothing encoded before."""
    subject = default_subject()
    elimination = Elimination(subject)
    segments = prompt(subject, CANDIDATES, LENGTH, QUERY)
    return lambda: elimination.run(segments)


def ways() -> dict[str, Callable[[], Any]]:
    return {
        "rranker, bundled model, 19 rounds": elimination(),
        "MiniLM-L6 shape, bf16, one forward": minilm(torch.bfloat16),
        "MiniLM-L6 shape, fp32, one forward": minilm(torch.float32),
    }


def main() -> None:
    ready, times = ways(), dict[str, list[float]]()
    for _ in range(25):  # in turn, so that a slow moment of the machine hits all
        for name, work in ready.items():
            began = time.perf_counter()
            work()
            times.setdefault(name, []).append(time.perf_counter() - began)
    print(
        f"{CANDIDATES} candidates of {LENGTH} tokens, query {QUERY}, {torch.get_num_threads()} threads; warm"
    )
    for name, seconds in times.items():
        warm = np.array(seconds[5:]) * 1000
        print(f"{name:36} best {warm.min():6.1f} ms, median {np.median(warm):6.1f} ms")


if __name__ == "__main__":
    main()
