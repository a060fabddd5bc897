"""`python -m tests.fuzz`: random input by hand, for as long as wanted."""

from __future__ import annotations

import argparse
import sys
import time
import warnings

from tests.fuzz.runner import fuzz
from tests.fuzz.targets import TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="in all, split evenly (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default: 0)")
    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"unknown target {unknown[0]!r}: use {', '.join(TARGETS)}")
    warnings.simplefilter(
        "ignore"
    )  # thousands of inputs, thousands of warnings; seeds are what is looked for
    for name in names:
        began = time.monotonic()
        tried = fuzz(TARGETS[name], given.seconds / len(names), given.seed, report=_to_stderr)
        print(f"{name}: {tried:,} inputs in {time.monotonic() - began:.0f} s, nothing found", flush=True)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
