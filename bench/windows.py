"""What a sliding window costs as queries are added, in time and memory: `python -m bench.windows`.

One round of queries of about 900 tokens each, in causal attention, through a random model whose layers all have the
window; beside it no window, and the reference's dense mask over the whole step. Each line is measured in a process of
its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np

from bench.random_inputs import random_lm, random_segments
from rranker.engine.attention import attention_backend
from rranker.engine.batch import BatchBuilder
from rranker.engine.readout import IdentifierReadout
from rranker.engine.runner import ModelRunner
from rranker.engine.sessions import CausalQueryState

WINDOW, CANDIDATES = 512, 10
_PREFIX, _CANDIDATE, _SUFFIX = 200, 68, 20  # 900 tokens


def model(window: int | None) -> Any:
    """8 layers, 8 query heads over 2 KV heads of 64 columns, fp32."""
    from transformers import MistralConfig

    config = MistralConfig(
        vocab_size=1000,
        hidden_size=512,
        intermediate_size=1024,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=64,
        sliding_window=window,
    )
    return random_lm(config)


def one_round(runner: ModelRunner, readout: IdentifierReadout, queries: int) -> None:
    """Encodes the queries and asks each one question, all in one pass."""
    rng, builder = np.random.default_rng(0), BatchBuilder()
    sessions = []
    for query_index in range(queries):
        segments = random_segments(rng, 1000, CANDIDATES, _CANDIDATE, _PREFIX, _SUFFIX)
        session = CausalQueryState(segments, "exclude", runner.kv_cache, readout)
        assert session.open()
        session.plan(builder, query_index, [tuple(range(CANDIDATES))])
        sessions.append(session)
    runner.hidden(builder.build())
    for session in sessions:
        session.close()


def measure(queries: int, window: int | None, backend: str) -> dict[str, float]:
    """Seconds of a round (median of 3), and by how many MB its first run raised the process's peak of memory."""
    lm = model(window)
    runner, readout = ModelRunner(lm, attention_backend(backend), slots=900 * queries), IdentifierReadout(lm)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        one_round(runner, readout, queries)
        seconds.append(time.perf_counter() - began)
        if len(seconds) == 1:
            raised = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": median(seconds), "mb": raised / 1024}


def main() -> None:
    if len(sys.argv) == 4:  # a child
        print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]) or None, sys.argv[3])))
        return
    print(f"{'backend':9}  {'window':>6}  {'queries':>7}  {'seconds':>7}  {'peak MB':>7}")
    for backend, window, most in (("cpu", 0, 8), ("cpu", WINDOW, 8), ("reference", WINDOW, 4)):
        for queries in (q for q in (1, 2, 4, 8) if q <= most):
            command = [sys.executable, "-m", "bench.windows", str(queries), str(window), backend]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            line = (
                f"{backend:9}  {window or '':>6}  {queries:7}  {found['seconds']:7.2f}  {found['mb']:+7.0f}"
            )
            print(line, flush=True)


if __name__ == "__main__":
    main()
