"""All that is to be done on a GPU, the most valuable first, in calls that fit the minutes there are.

    python -m bench.gpu_plan --out FOLDER --minutes 6             then, in a next call, what the first did not reach:
    python -m bench.gpu_plan --out FOLDER --minutes 6 --skip smoke model
    python -m bench.gpu_plan --out FOLDER --tiny                  the same path on tiny sizes, through the interpreter

Parts, in this order: `smoke` (every kernel against float64, then the kernel tests; when one is wrong nothing follows),
`model` (the bundled model: CPU = GPU, alone = in a batch, guesses on = off), `anatomy` (passes, guesses, launches, the
GPU's busy share, and steps operator by operator against CUDA graphs), `bench` (`bench.gpu`), `sweep` (stages × rows of
a tile × keys of a split), `others` (varlen, flash-attn, FlashInfer, where they are installed), `counters` (the GPU's
own, where Nsight Compute may read them). FOLDER/plan.md has every line as soon as it is known. A part begins only when
the minutes it usually takes are left.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

# Before Triton is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from bench import gpu, gpu_anatomy, gpu_steps
from bench.gpu_measure import FULL, TINY, Sizes
from bench.gpu_report import Report


@dataclass(frozen=True)
class Part:
    """minutes: what it usually takes, unless it is stopped."""

    name: str
    minutes: float
    run: Callable[[Sizes, torch.device, Report], None]


def smoke(sizes: Sizes, on: torch.device, report: Report) -> None:
    """Raises SystemExit when a kernel is wrong: what is timed must be right."""
    gpu.check(sizes, on, report)
    if on.type == "cuda":
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "gpu and not slow", "tests/kernels"]
        with report.part("kernel tests"):
            said = subprocess.run(command, capture_output=True, text=True, timeout=180)
            report.say(said.stdout[-3000:] + said.stderr[-1000:])
            if said.returncode:
                report.fault("a kernel test failed")
    if report.faults:
        raise SystemExit("faults: " + "; ".join(report.faults))


def bench(sizes: Sizes, on: torch.device, report: Report) -> None:
    report.head()
    gpu.time_all(sizes, on, report)


PARTS = (
    Part("smoke", 1.5, smoke),
    Part("model", 1, gpu_steps.model),
    Part("anatomy", 1.5, gpu_anatomy.anatomy),
    Part("bench", 3.5, bench),
    Part("sweep", 2, gpu_steps.sweep),
    Part("others", 0.5, gpu_steps.others),
    Part("counters", 1.5, gpu_steps.counters),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu_plan", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of plan.md; made where it is missing")
    parser.add_argument("--minutes", type=float, default=10, help="of this call")
    parser.add_argument("--skip", nargs="*", default=[], choices=[part.name for part in PARTS])
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a machine without a GPU")
    given = parser.parse_args(arguments)
    measured = torch.cuda.is_available()
    if not measured and not given.tiny:
        raise SystemExit("no GPU here: --tiny walks the same path through Triton's interpreter")
    given.out.mkdir(parents=True, exist_ok=True)
    report = Report(measured and not given.tiny, given.out / "plan.md")
    on, sizes = torch.device("cuda" if measured else "cpu"), TINY if given.tiny else FULL
    report.say(f"{torch.cuda.get_device_name(on) if measured else 'no GPU'}, torch {torch.__version__}")
    began = time.monotonic()
    for part in PARTS:
        left = given.minutes - (time.monotonic() - began) / 60
        if part.name in given.skip:
            continue
        if left < part.minutes and not given.tiny:
            report.say(f"\n## {part.name}: not begun, {left:.1f} minutes are left")
            continue
        report.say(f"\n## {part.name}")
        torch.manual_seed(0)
        with report.part(part.name):
            part.run(sizes, on, report)
        report.say(f"{(time.monotonic() - began) / 60:.1f} minutes so far")
    if report.faults:
        raise SystemExit("faults: " + "; ".join(report.faults))


if __name__ == "__main__":
    main()
