"""`rranker.rank` in a fresh process, and where its time goes: `python -m bench.cold_start`."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

CHILD = """
import json, time
marks = [("start", time.perf_counter())]
import rranker
marks.append(("import rranker", time.perf_counter()))
import torch
marks.append(("import torch", time.perf_counter()))
import transformers
marks.append(("import transformers", time.perf_counter()))
from rranker.api import _ranker
ranker = _ranker(None, {})
now = time.perf_counter()
marks.append(("weights", now - ranker.load_seconds["probe"]))
marks.append(("probe", now))
rranker.rank("who wrote Emma?", ["Jane Austen wrote Emma in 1815.", "Emma is a given name.", "Tea is a drink."])
marks.append(("first ranking", time.perf_counter()))
print(json.dumps({name: t - before for (_, before), (name, t) in zip(marks, marks[1:])}))
"""


def cold() -> dict[str, float]:
    """Seconds of each part of one cold run, their sum, and of the whole process."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    ready = sum(parts.values())
    return {
        **parts,
        "until the ranking is there": ready,
        "until the process is gone": time.perf_counter() - began,
    }


def command_line() -> tuple[float, float]:
    """Seconds from the start of `rranker rank` to its first output, and of the processor until it has ended."""
    command = [sys.executable, "-m", "rranker", "rank", "who wrote Emma?", "--format", "json"]
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"Jane Austen wrote Emma in 1815.\nEmma is a given name.\nTea is a drink.\n")
        process.stdin.close()
        process.stdout.readline()
        seconds = time.perf_counter() - began
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def main() -> None:
    runs = [cold() for _ in range(5)]
    print("cold rranker.rank, median of 5 fresh processes")
    print(", ".join(f"{name} {np.median([run[name] for run in runs]):.2f} s" for name in runs[0]))
    first, used = np.median([command_line() for _ in range(5)], axis=0)
    print(f"rranker rank, first output after {first:.2f} s; {used:.2f} s of the processor until it has ended")


if __name__ == "__main__":
    main()
