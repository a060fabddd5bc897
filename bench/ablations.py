"""What each choice is worth: small models that differ in one thing, on the same queries.

    python -m bench.ablations --out runs/ablations --workers 2

trains what is missing (a finished run is kept, an interrupted one resumes), ranks the test queries with each, prints
two Markdown tables and writes the figures as JSON. `--only NAME …` trains and compares some of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from bench.paired import FAMILIES, Measured, difference, measure
from bench.quality import some
from rranker import Ranker, data
from rranker.training.sft.config import SftConfig

CONFIG = "configs/tiny.yaml"
SMALL = ("--hidden", "128", "--layers", "2", "--steps", "1200", "--uniform", "0.75")
LARGE = ("--hidden", "256", "--layers", "3", "--steps", "1200", "--uniform", "0.75")
REWARDED = ("--max_steps", "120", "--learning_rate", "1e-4")
"""A third of the rate of CONFIG: its start is a shorter run, and has less to lose."""
SOURCES_OF = {
    "recommendation": ("movies", "music", "games"),
    "routing": ("routing",),
    "passage": ("cloze", "squad", "trecdl", "classic"),
}


def without(family: str) -> tuple[str, ...]:
    """The mixture's options with one family left out."""
    kept = {name: share for name, share in SftConfig().weights.items() if name not in SOURCES_OF[family]}
    return ("--weights", *(f"{name}={share}" for name, share in kept.items()))


@dataclass(frozen=True)
class Run:
    """A training: `python -m training.MODULE`; a GRPO run starts from `start`'s weights."""

    module: str
    options: tuple[str, ...]
    start: str | None = None


RUNS = {
    "sft": Run("sft", SMALL),
    "rl-stepwise": Run("grpo", (*REWARDED, "--reward", "stepwise"), "sft"),
    "rl-graded": Run("grpo", (*REWARDED, "--reward", "graded"), "sft"),
    "rl-outcome": Run("grpo", (*REWARDED, "--reward", "outcome", "--gamma", "1"), "sft"),
    "rl-dranker": Run("grpo", (*REWARDED, "--method", "dranker", "--gamma", "1"), "sft"),
    "sft-causal": Run("sft", (*SMALL, "--attention", "causal")),
    "sft-no-recommendation": Run("sft", (*SMALL, *without("recommendation"))),
    "sft-no-routing": Run("sft", (*SMALL, *without("routing"))),
    "sft-no-passage": Run("sft", (*SMALL, *without("passage"))),
    "sft-3x": Run("sft", LARGE),
}


@dataclass(frozen=True)
class Entrant:
    """A trained run and the method it ranks by."""

    run: str
    method: str = "iranker"

    def __str__(self) -> str:
        return self.run if self.method == "iranker" else f"{self.run} ({self.method})"


COMPARISONS = {
    "RL against its SFT start": (Entrant("rl-graded"), Entrant("sft")),
    "RL DRanker against its SFT start": (Entrant("rl-dranker", "dranker"), Entrant("sft", "dranker")),
    "IRanker against DRanker, SFT": (Entrant("sft"), Entrant("sft", "dranker")),
    "IRanker against DRanker, RL": (Entrant("rl-graded"), Entrant("rl-dranker", "dranker")),
    "graded against step-wise reward": (Entrant("rl-graded"), Entrant("rl-stepwise")),
    "step-wise against outcome reward": (Entrant("rl-stepwise"), Entrant("rl-outcome")),
    "block against causal attention": (Entrant("sft"), Entrant("sft-causal")),
    "small RL against SFT of three times its size": (Entrant("rl-graded"), Entrant("sft-3x")),
    "never saw recommendation": (Entrant("sft-no-recommendation"), Entrant("sft")),
    "never saw routing": (Entrant("sft-no-routing"), Entrant("sft")),
    "never saw passages": (Entrant("sft-no-passage"), Entrant("sft")),
}


def command(name: str, out: Path, tokenizer: str) -> list[str]:
    """What trains a run; resuming is asked for where there is something to resume."""
    run, folder = RUNS[name], out / name
    words = [sys.executable, "-m", f"training.{run.module}"]
    if run.module == "sft":
        words += ["--out", str(folder), "--tokenizer", tokenizer, *run.options]
        return words + ["--resume"] * (folder / "state.pt").exists()
    words += ["--config", CONFIG, "--model", str(out / str(run.start) / "final"), "--output_dir", str(folder)]
    return [*words, "--eval_strategy", "no", "--resume", "true", *run.options]


def train(names: Sequence[str], out: Path, workers: int, tokenizer: str) -> None:
    """Every run that has no `final` yet, in this order, each on a core of its own.

    Raises RuntimeError when one fails.
    """
    cores: SimpleQueue[int] = SimpleQueue()
    for core in sorted(os.sched_getaffinity(0))[:workers]:
        cores.put(core)
    done: dict[str, Future[None]] = {}

    def work(name: str, start: Future[None] | None) -> None:
        if start is not None:
            start.result()
        if (out / name / "final").exists():
            return
        core = cores.get()
        try:
            print(f"{name}: training", file=sys.stderr, flush=True)
            words = ["taskset", "--cpu-list", str(core), *command(name, out, tokenizer)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            with open(out / f"{name}.log", "a", encoding="utf-8") as log:
                code = subprocess.run(words, stdout=log, stderr=log, env=environment, check=False).returncode
        finally:
            cores.put(core)
        if code:
            raise RuntimeError(
                f"{name} ended with {code}: see {out / name}.log, and run this again to resume"
            )

    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:  # first come, first served: a start stands before what needs it
        for name in names:
            done[name] = pool.submit(work, name, done.get(str(RUNS[name].start)))
        for future in done.values():
            future.result()


def figures(entrants: Sequence[Entrant], out: Path, limit: int) -> dict[Entrant, dict[str, Measured]]:
    families = {
        family: [case for task in tasks for case in some(data.task_cases(task, "test"), limit)]
        for family, tasks in FAMILIES.items()
    }
    found = {}
    for entrant in entrants:
        ranker = Ranker(out / entrant.run / "final", method=entrant.method)
        found[entrant] = {family: measure(ranker, cases) for family, cases in families.items()}
        print(f"{entrant}: measured", file=sys.stderr, flush=True)
    return found


def tables(found: dict[Entrant, dict[str, Measured]]) -> str:
    """Every model's own figures and prices, then the paired differences."""
    head = " | ".join(FAMILIES)
    lines = [f"| model | {head} | passes | tokens | ms / query |", "|---" * (len(FAMILIES) + 4) + "|"]
    for entrant, families in found.items():
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
            gaps = [difference(found[one][f].values, found[other][f].values) for f in FAMILIES]
            cells = [f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" for mean, (low, high) in gaps]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ablations", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--workers", type=int, default=1, help="trainings side by side, one core each")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--tokenizer", default="configs/tiny-start", help="folder of the one all of them use")
    parser.add_argument("--limit", type=int, default=300, help="queries a task, at most")
    options = parser.parse_args()
    missing = {RUNS[name].start for name in options.only} - {None, *options.only}
    if missing:
        parser.error(f"these start from {', '.join(sorted(map(str, missing)))}: name it too")
    names = [name for name in RUNS if name in options.only]
    train(names, options.out, options.workers, options.tokenizer)
    entrants = dict.fromkeys(e for pair in COMPARISONS.values() for e in pair if e.run in options.only)
    found = figures(list(entrants), options.out, options.limit)
    print(tables(found))
    record = {str(e): {family: asdict(m) for family, m in rows.items()} for e, rows in found.items()}
    (options.out / "ablations.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
