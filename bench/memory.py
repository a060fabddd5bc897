"""Peak memory under load, beside the formula of docs/scale.md: `python -m bench.memory --model smollm2`.

Many mixed queries (2 to 100 candidates of about 5 to 400 words) together, on several budgets, each in a process of its
own. The peak is the most that the process held of memory while it ranked, less what it held once the model was loaded
(Linux only: it is read from /proc). Prints Markdown.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.pretrained_models import smollm2_folder
from rranker.engine.memory import token_bytes

MB = 1e6
KEPT = 256e6
"""What torch and oneDNN keep for later calls, freed blocks that are not given back, and the logits of a readout."""
_WORDS = [
    "bees",
    "find",
    "flowers",
    "by",
    "colour",
    "scent",
    "dance",
    "in",
    "the",
    "dark",
    "hive",
    "who",
    "follow",
]


def formula(lm: Any, kv_cache_tokens: int, max_batch_tokens: int, reads_all: bool) -> tuple[float, float]:
    """Bytes of the keys and values, and of what a step holds while it computes.

    `reads_all`: the readout takes the state of every token, of all that a step encodes.
    """
    config, each = lm.config, lm.dtype.itemsize
    # Of a row of a pass: the states that a layer has at hand, those of its MLP, and attention's two parts in float32.
    row = (8 * each + 8) * config.hidden_size + 4 * each * config.intermediate_size
    # Of a token of a step: its state, and in float32 its direction and its matches.
    read = (each + 16) * config.hidden_size if reads_all else 0
    rows = min(1.5 * max_batch_tokens, kv_cache_tokens)
    tokens = max(max_batch_tokens, kv_cache_tokens)  # one query may be larger than what else begins in a step
    return float(token_bytes(lm) * kv_cache_tokens), float(rows * row + tokens * read) + KEPT


def queries(count: int, candidates: int = 100, words: int = 400) -> list[tuple[str, list[str]]]:
    """2 to `candidates` texts, the longest of 5 to `words` words: few are large, and most are small."""
    rng = np.random.default_rng(7)
    made = list[tuple[str, list[str]]]()
    for number in range(count):
        n = int(2 * (candidates / 2) ** rng.random())
        longest = int(5 * (words / 5) ** rng.random())
        texts = [f"{i} " + " ".join(rng.choice(_WORDS, rng.integers(1, longest + 1))) for i in range(n)]
        made.append((f"query {number}: how do bees find flowers?", texts))
    return made


def measure(model: str | None, kv_cache_tokens: int, max_batch_tokens: int, count: int) -> dict[str, float]:
    """Runs the load: MB of the process with the model loaded, what the formula adds to it, and what was added."""
    import torch

    from rranker import Ranker

    torch.set_num_threads(1)
    with Ranker(model, kv_cache_tokens=kv_cache_tokens, max_batch_tokens=max_batch_tokens) as ranker:
        ranker.rank("any", ["a", "b"])  # what is made once is made here
        loaded = resident("VmRSS")
        with peak_of() as most:
            ranker.rank_batch(queries(count), template="passage", progress=False)
        peak = most[0] - loaded
        lm, readout = ranker.model.lm, ranker.model.readout
        reads_all = readout.pooling == "mean" or readout.matches is not None
        cache, step = formula(lm, kv_cache_tokens, max_batch_tokens, reads_all)
    return {"loaded": loaded / MB, "cache": cache / MB, "step": step / MB, "peak": peak / MB}


@contextmanager
def peak_of() -> Iterator[list[float]]:
    """Bytes of the process at its largest, within the block: in the list behind it."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is what comes from here on
    found = list[float]()
    yield found
    found.append(resident("VmHWM"))


def resident(name: str) -> float:
    """Bytes of the process's memory, by its name in /proc."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="a checkpoint folder, or smollm2; left out, the bundled model")
    parser.add_argument(
        "--budgets", type=int, nargs="+", default=[4096, 16384, 65536], help="kv_cache_tokens"
    )
    parser.add_argument("--queries", type=int, default=40)
    options = parser.parse_args()
    model = str(smollm2_folder(Path("runs/models"))) if options.model == "smollm2" else options.model
    print("| kv_cache_tokens | loaded | keys and values | a step | at most | measured, MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for budget in options.budgets:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(measure, (model, budget, min(4096, budget), options.queries))
        cache, step = found["cache"], found["step"]
        cells = " | ".join(f"{n:,.0f}" for n in (found["loaded"], cache, step, cache + step, found["peak"]))
        print(f"| {budget:,} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
