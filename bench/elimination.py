"""The engine's elimination beside what others do: `python -m bench.elimination` prints the table.

Candidates of 100 tokens behind a prefix of 200; all rounds, down to one candidate. `--plot` draws tokens and
seconds of the bundled model against the number of candidates.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.loops import SCHEMES, open_to, seconds
from bench.workloads import SUBJECTS, Elimination, Subject, losers, prompt
from rranker.engine.encoders import is_encoder
from rranker.methods import QueryLikelihood

Row = tuple[str, int, float]
MODES: dict[str, dict[str, Any]] = {
    "rranker, block": {},
    "rranker, block, sequential": {"speculate": False},
    "rranker, causal": {"attention": "causal"},
    "rranker, causal, sequential": {"attention": "causal", "speculate": False},
    "rranker, causal, keys kept": {"attention": "causal", "reuse": "keep"},
    "rranker, query likelihood": {"attention": "causal", "method": QueryLikelihood},
}
"""Arguments of `Elimination`. The last is no elimination: what an untrained model does in its place."""


class Ours:
    """One way of ours; each call measures all rounds once, and keeps the order in which candidates went."""

    def __init__(self, subject: Subject, n: int, mode: str) -> None:
        self._elimination, self._segments = Elimination(subject, **MODES[mode]), prompt(subject, n)
        self.tokens, self.gone = 0, list[int]()

    def __call__(self) -> float:
        """Seconds."""
        began = time.perf_counter()
        handle = self._elimination.run(self._segments)
        took = time.perf_counter() - began
        self.tokens, self.gone = handle.tokens_encoded, losers(handle)
        return took


def medians(ways: Sequence[Callable[[], float]], repeat: int) -> list[float]:
    """Of `repeat` runs in which each way has its turn, so that whatever else the machine does falls on all of them."""
    times = np.array([[way() for way in ways] for _ in range(repeat)])
    return [float(median) for median in np.median(times, axis=0)]


def compared(
    subject: Subject, n: int, modes: list[str], schemes: list[str], repeat: int, samples: int
) -> list[Row]:
    """A row for each scheme of others, then for each mode of ours, all of one run."""
    ours = [Ours(subject, n, mode) for mode in modes]
    medians(ours, 1)  # what is made once is made here
    segments = prompt(subject, n)
    rounds = [SCHEMES[name](segments, ours[0].gone) for name in schemes]
    others = [partial(seconds, subject.lm, work, samples) for work in rounds]
    took = medians([*others, *ours], repeat)
    tokens = [*(sum(work.fresh for work in each) for each in rounds), *(way.tokens for way in ours)]
    return list(zip([*schemes, *modes], tokens, took, strict=True))


def table(subject: Subject, n: int, repeat: int, samples: int, modes: list[str]) -> str:
    """Markdown: tokens encoded, seconds, and seconds over those of one plain forward and of ours."""
    if subject.readout.needs_states:
        modes = [mode for mode in modes if "method" not in MODES[mode]]
    if is_encoder(subject.lm.config):
        modes = [mode for mode in modes if "attention" not in MODES[mode]]
    schemes = open_to(subject.lm)
    rows = compared(subject, n, modes, schemes, repeat, samples)
    plain, mine = rows[0][2], rows[len(schemes)][2]
    lines = [
        f"{subject.name}, n = {n}, prefix 200, candidates 100, question {subject.suffix} tokens, "
        f"{str(subject.lm.dtype).removeprefix('torch.')}, {torch.get_num_threads()} threads",
        "",
        "| | tokens encoded | seconds | of one forward | of rranker, block |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, tokens, took in rows:
        lines.append(f"| {name} | {tokens:,} | {took:.3f} | {took / plain:.2f}× | {took / mine:.1f}× |")
    return "\n".join(lines)


def plot(path: Path, sizes: list[int], repeat: int) -> None:
    """Tokens of every scheme, and seconds of ours and of one plain forward, against n."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    subject = SUBJECTS["default"]()
    schemes, mode = open_to(subject.lm), "rranker, block"
    found = [compared(subject, n, [mode], schemes[:1], repeat, 5) for n in sizes]
    ways = [Ours(subject, n, mode) for n in sizes]
    medians(ways, 1)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    for name in schemes:
        works = [SCHEMES[name](prompt(subject, n), way.gone) for n, way in zip(sizes, ways, strict=True)]
        left.plot(sizes, [sum(work.fresh for work in each) for each in works], marker=".", label=name)
    left.plot(sizes, [rows[-1][1] for rows in found], marker="o", color="black", label=mode)
    left.set(xlabel="candidates", ylabel="tokens encoded", yscale="log", title="Tokens for all rounds")
    left.legend(fontsize=8)
    right.plot(sizes, [rows[0][2] for rows in found], marker=".", label="one plain forward")
    right.plot(sizes, [rows[-1][2] for rows in found], marker="o", color="black", label=f"{mode}: all rounds")
    right.set(xlabel="candidates", ylabel="seconds", title="Wall time, bundled model, CPU")
    right.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    for (plain, mine), n in zip(found, sizes, strict=True):
        print(f"n = {n:4}: {mine[1]:7,} tokens, {mine[2]:.3f} s; one plain forward {plain[2]:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.elimination", description=__doc__)
    parser.add_argument("--models", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--sizes", nargs="*", type=int, default=[20, 100])
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    parser.add_argument("--repeat", type=int, default=5, help="the median of so many is taken")
    parser.add_argument(
        "--samples", type=int, default=5, help="rounds measured per scheme; the rest interpolated"
    )
    parser.add_argument("--plot", type=Path, help="draw the bundled model's curves into this file instead")
    options = parser.parse_args()
    if options.plot:
        plot(options.plot, [5, 10, 20, 50, 100, 150, 200], options.repeat)
        return
    for name in options.models:
        subject = SUBJECTS[name]()
        for n in options.sizes:
            print(table(subject, n, options.repeat, options.samples, options.modes), "\n", flush=True)


if __name__ == "__main__":
    main()
