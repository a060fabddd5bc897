"""The engine's elimination beside what others do: `python -m bench.elimination` prints the table.

Candidates of 100 tokens behind a prefix of 200; all rounds, down to one candidate. `--plot` draws tokens and
seconds of the bundled model against the number of candidates.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

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


def ours(subject: Subject, n: int, mode: str, repeat: int) -> tuple[Row, list[int]]:
    """Best of `repeat`, and the order in which candidates went."""
    elimination, segments = Elimination(subject, **MODES[mode]), prompt(subject, n)
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        handle = elimination.run(segments)
        times.append(time.perf_counter() - began)
    return (mode, handle.tokens_encoded, min(times)), losers(handle)


def others(
    subject: Subject, n: int, gone: list[int], names: list[str], repeat: int, samples: int
) -> list[Row]:
    segments, rows = prompt(subject, n), list[Row]()
    for name in names:
        rounds = SCHEMES[name](segments, gone)
        best = min(seconds(subject.lm, rounds, samples) for _ in range(repeat))
        rows.append((name, sum(work.fresh for work in rounds), best))
    return rows


def table(subject: Subject, n: int, repeat: int, samples: int, modes: list[str]) -> str:
    """Markdown: tokens encoded, seconds, and seconds over those of one plain forward and of ours."""
    if subject.readout.needs_states:
        modes = [mode for mode in modes if "method" not in MODES[mode]]
    if is_encoder(subject.lm.config):
        modes = [mode for mode in modes if "attention" not in MODES[mode]]
    found = [ours(subject, n, mode, repeat) for mode in modes]
    rows = others(subject, n, found[0][1], open_to(subject.lm), repeat, samples) + [row for row, _ in found]
    plain, mine = rows[0][2], found[0][0][2]
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
    found = [ours(subject, n, "rranker, block", repeat) for n in sizes]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    for name in open_to(subject.lm):
        scheme = SCHEMES[name]
        tokens = [
            sum(work.fresh for work in scheme(prompt(subject, n), gone))
            for n, (_, gone) in zip(sizes, found, strict=True)
        ]
        left.plot(sizes, tokens, marker=".", label=name)
    left.plot(sizes, [row[1] for row, _ in found], marker="o", color="black", label="rranker, block")
    left.set(xlabel="candidates", ylabel="tokens encoded", yscale="log", title="Tokens for all rounds")
    left.legend(fontsize=8)
    plain = [
        others(subject, n, gone, ["one plain forward"], repeat, 5)[0][2]
        for n, (_, gone) in zip(sizes, found, strict=True)
    ]
    right.plot(sizes, plain, marker=".", label="one plain forward")
    right.plot(
        sizes, [row[2] for row, _ in found], marker="o", color="black", label="rranker, block: all rounds"
    )
    right.set(xlabel="candidates", ylabel="seconds", title="Wall time, bundled model, CPU")
    right.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    for (row, _), n, one in zip(found, sizes, plain, strict=True):
        print(f"n = {n:4}: {row[1]:7,} tokens, {row[2]:.3f} s; one plain forward {one:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.elimination", description=__doc__)
    parser.add_argument("--models", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--sizes", nargs="*", type=int, default=[20, 100])
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many is taken")
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
