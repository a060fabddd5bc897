"""What each choice is worth: trainings of one pretrained encoder that differ in one thing, on the same queries.

    python -m training.sft.from_encoder MINILM runs/start
    python -m bench.ablations --base runs/start --teacher MINILM --out runs/ablations --workers 2

trains what is missing (a finished run is kept, an interrupted one resumes), each with every seed, ranks the test
queries with all of them, prints two Markdown tables and writes the figures as JSON. `--only NAME …` takes some of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from bench.paired import FAMILIES, Measured, difference, measure, some
from rranker import Ranker, data

CONFIG = "configs/default.yaml"
MIXTURE = {
    "movies": 0.11,
    "music": 0.11,
    "games": 0.11,
    "routing": 0.33,
    "trecdl": 0.17,
    "squad": 0.17,
}
SOURCES_OF = {
    "recommendation": ("movies", "music", "games"),
    "routing": ("routing",),
    "passage": ("trecdl", "squad"),
}
SUPERVISED = (
    *("--optimizer", "adamw", "--lr", "2.5e-4", "--tokens", "4096", "--accumulate", "1", "--steps", "150"),
    *("--save_every", "75"),
)
REWARDED = (
    *("--tasks", "rec-movie=1", "rec-music=1", "rec-game=1", "router-performance=1", "router-balance=1"),
    *("router-cost=1", "passage-7=1.5", "squad=1.5"),
    *("--per_device_train_batch_size", "64", "--max_steps", "40", "--learning_rate", "5e-5"),
)


def without(family: str) -> tuple[str, ...]:
    """The mixture's options with one family left out."""
    return mixture({name: share for name, share in MIXTURE.items() if name not in SOURCES_OF[family]})


def mixture(weights: Mapping[str, float]) -> tuple[str, ...]:
    """Its option."""
    return ("--weights", *(f"{name}={share}" for name, share in weights.items()))


@dataclass(frozen=True)
class Run:
    """A training: `python -m training.MODULE`; a GRPO run starts from `start`'s weights."""

    module: str
    options: tuple[str, ...]
    start: str | None = None


RUNS = {
    "sft": Run("sft", (*SUPERVISED, *mixture(MIXTURE))),
    "sft-longer": Run("sft", (*SUPERVISED, *mixture(MIXTURE)), "sft"),
    "rl-stepwise": Run("grpo", (*REWARDED, "--reward", "stepwise"), "sft"),
    "rl-graded": Run("grpo", (*REWARDED, "--reward", "graded"), "sft"),
    "rl-outcome": Run("grpo", (*REWARDED, "--reward", "outcome", "--gamma", "1"), "sft"),
    "rl-dranker": Run("grpo", (*REWARDED, "--method", "dranker", "--gamma", "1"), "sft"),
    "sft-no-recommendation": Run("sft", (*SUPERVISED, *without("recommendation"))),
    "sft-no-routing": Run("sft", (*SUPERVISED, *without("routing"))),
    "sft-no-passage": Run("sft", (*SUPERVISED, *without("passage"))),
}


@dataclass(frozen=True)
class Entrant:
    """A trained run and the method it ranks by."""

    run: str
    method: str = "iranker"

    def __str__(self) -> str:
        return self.run if self.method == "iranker" else f"{self.run} ({self.method})"


COMPARISONS = {
    "RL against its SFT start": (Entrant("rl-stepwise"), Entrant("sft")),
    "RL against as many more steps of SFT": (Entrant("rl-stepwise"), Entrant("sft-longer")),
    "RL DRanker against its SFT start": (Entrant("rl-dranker", "dranker"), Entrant("sft", "dranker")),
    "IRanker against DRanker, SFT": (Entrant("sft"), Entrant("sft", "dranker")),
    "IRanker against DRanker, RL": (Entrant("rl-stepwise"), Entrant("rl-dranker", "dranker")),
    "step-wise against outcome reward": (Entrant("rl-stepwise"), Entrant("rl-outcome")),
    "graded against step-wise reward": (Entrant("rl-graded"), Entrant("rl-stepwise")),
    "never saw recommendation": (Entrant("sft-no-recommendation"), Entrant("sft")),
    "never saw routing": (Entrant("sft-no-routing"), Entrant("sft")),
    "never saw passages": (Entrant("sft-no-passage"), Entrant("sft")),
}


@dataclass(frozen=True)
class Setting:
    """Where runs lie, what they begin with, and which encoder teaches passages."""

    out: Path
    base: str
    teacher: str

    def folder(self, name: str, seed: int) -> Path:
        return self.out / f"{name}-{seed}"

    def command(self, name: str, seed: int) -> list[str]:
        """What trains a run; resuming is asked for where there is something to resume."""
        run, folder = RUNS[name], self.folder(name, seed)
        start = self.base if run.start is None else str(self.folder(run.start, seed) / "final")
        words = [sys.executable, "-m", f"training.{run.module}"]
        if run.module == "sft":
            # What goes on from another run draws other lists than that did.
            drawn = seed + 1000 * (run.start is not None)
            words += ["--out", str(folder), "--start", start, "--teacher", self.teacher, "--seed", str(drawn)]
            return [*words, *run.options, *["--resume"] * (folder / "state.pt").exists()]
        words += ["--config", CONFIG, "--model", start, "--output_dir", str(folder), "--seed", str(seed)]
        return [*words, "--eval_strategy", "no", "--resume", "true", *run.options]


def train(names: Sequence[str], seeds: Sequence[int], setting: Setting, workers: int) -> None:
    """Every run that has no `final` yet, in this order, each on a core of its own.

    Raises RuntimeError when one fails.
    """
    cores: SimpleQueue[int] = SimpleQueue()
    for core in sorted(os.sched_getaffinity(0))[:workers]:
        cores.put(core)
    done: dict[tuple[str, int], Future[None]] = {}

    def work(name: str, seed: int, start: Future[None] | None) -> None:
        if start is not None:
            start.result()
        folder = setting.folder(name, seed)
        if (folder / "final").exists():
            return
        core = cores.get()
        try:
            print(f"{folder.name}: training", file=sys.stderr, flush=True)
            words = ["taskset", "--cpu-list", str(core), *setting.command(name, seed)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            with open(f"{folder}.log", "a", encoding="utf-8") as log:
                code = subprocess.run(words, stdout=log, stderr=log, env=environment, check=False).returncode
        finally:
            cores.put(core)
        if code:
            raise RuntimeError(
                f"{folder.name} ended with {code}: see {folder}.log, and run this again to resume"
            )

    setting.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:  # first come, first served: a start stands before what needs it
        for seed in seeds:
            for name in names:
                done[name, seed] = pool.submit(work, name, seed, done.get((str(RUNS[name].start), seed)))
        for future in done.values():
            future.result()


Found = dict[Entrant, dict[str, list[Measured]]]
"""Of each entrant and family, one a seed."""


def figures(entrants: Sequence[Entrant], seeds: Sequence[int], setting: Setting, limit: int) -> Found:
    """Each entrant's reciprocal ranks and prices on the test queries."""
    families = {
        family: [case for task in tasks for case in some(data.task_cases(task, "test"), limit)]
        for family, tasks in FAMILIES.items()
    }
    found: Found = {}
    for entrant in entrants:
        rows = found[entrant] = {family: [] for family in families}
        for seed in seeds:
            with Ranker(setting.folder(entrant.run, seed) / "final", method=entrant.method) as ranker:
                for family, cases in families.items():
                    rows[family].append(measure(ranker, cases))
        print(f"{entrant}: measured", file=sys.stderr, flush=True)
    return found


def over_seeds(measured: Sequence[Measured]) -> Measured:
    """Means over the seeds: of each query's reciprocal rank, and of the prices."""
    values = {query: float(np.mean([m.values[query] for m in measured])) for query in measured[0].values}
    prices = [
        float(np.mean([getattr(m, name) for m in measured])) for name in ("passes", "tokens", "seconds")
    ]
    return Measured(values, *prices)


def tables(found: Found) -> str:
    """Every model's own figures and prices, then the paired differences, with each seed's own beside the interval."""
    head = " | ".join(FAMILIES)
    lines = [f"| model | {head} | passes | tokens | ms / query |", "|---" * (len(FAMILIES) + 4) + "|"]
    means = {e: {f: over_seeds(rows) for f, rows in families.items()} for e, families in found.items()}
    for entrant, families in means.items():
        cells = [f"{m.mean:.3f} [{m.interval[0]:.3f}, {m.interval[1]:.3f}]" for m in families.values()]
        count = len(families)
        prices = [sum(getattr(m, name) for m in families.values()) / count for name in ("passes", "tokens")]
        milliseconds = 1000 * sum(m.seconds for m in families.values()) / count
        lines.append(
            f"| {entrant} | {' | '.join(cells)} | {prices[0]:.1f} | {prices[1]:.0f} | {milliseconds:.1f} |"
        )
    lines += ["", f"| difference of MRR | {head} |", "|---" * (len(FAMILIES) + 1) + "|"]
    for title, (one, other) in COMPARISONS.items():
        if one in found and other in found:
            cells = []
            for family in FAMILIES:
                mean, (low, high) = difference(means[one][family].values, means[other][family].values)
                pairs = zip(found[one][family], found[other][family], strict=True)
                each = ", ".join(f"{a.mean - b.mean:+.3f}" for a, b in pairs)
                cells.append(f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] ({each})")
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ablations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", required=True, help="folder of the ranking model that all begin with")
    parser.add_argument("--teacher", required=True, help="folder of the encoder that teaches passages")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=1, help="trainings side by side, one core each")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--limit", type=int, default=100, help="queries a task, at most")
    options = parser.parse_args()
    missing = {RUNS[name].start for name in options.only} - {None, *options.only}
    if missing:
        parser.error(f"these start from {', '.join(sorted(map(str, missing)))}: name it too")
    names = [name for name in RUNS if name in options.only]
    setting = Setting(options.out, options.base, options.teacher)
    train(names, options.seeds, setting, options.workers)
    entrants = dict.fromkeys(e for pair in COMPARISONS.values() for e in pair if e.run in options.only)
    found = figures(list(entrants), options.seeds, setting, options.limit)
    print(tables(found))
    record = {
        str(e): {family: [asdict(m) for m in measured] for family, measured in rows.items()}
        for e, rows in found.items()
    }
    (options.out / "ablations.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
