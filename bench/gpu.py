"""Checks and times every kernel and the whole engine on one GPU of 80 GB or more, and prints one table.

    python -m bench.gpu            in bfloat16
    python -m bench.gpu --tiny     the same path on tiny sizes; without a GPU through Triton's interpreter, and every
                                   figure of the table reads "not measured"

Every line is printed, and written to `--out`, when it is measured. A kernel that is wrong, or a part that fails, is
named at once and at the end, and the rest goes on. Errors are relative to float64 references. Device times are medians
with a cold L2 cache; end-to-end times are medians of three warm runs. The copies of prefixes that SDPA needs are made
before its clock starts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

# Before Triton is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from bench import gpu_attention, gpu_end_to_end, gpu_heads, gpu_items
from bench.gpu_measure import FULL, TINY, Line, Sizes, copy_bandwidth, matmul_flops
from bench.gpu_report import Report

# Of float64, by dtype. bf16 keeps 8 bits, and a softmax's weights are rounded to it before they meet the values.
TOLERANCE = {torch.bfloat16: 1e-2, torch.float32: 1e-5}


def check(sizes: Sizes, on: torch.device, report: Report) -> None:
    """Prints every error; what is too large is a fault."""
    for part in (gpu_attention, gpu_heads):
        with report.part(f"check of {part.__name__}"):
            for name, error in part.check(sizes, on):
                report.say(f"error of {name}: {error:.1e}")
                if not error <= TOLERANCE[sizes.dtype]:
                    report.fault(f"{name} does not compute what its reference computes: error {error:.1e}")


def time_all(sizes: Sizes, on: torch.device, report: Report) -> None:
    """Every line, as soon as it is measured; a part that fails is a fault, and the next one follows."""
    matmul = copy = float("nan")
    with report.part("matmul and copy"):
        matmul, copy = matmul_flops(sizes, on), copy_bandwidth(sizes, on)
        report.line(Line("one large matmul (TFLOP/s)", f"{matmul / 1e12:.0f}", ""))
        report.line(Line("one large device copy (GB/s)", f"{copy / 1e9:.0f}", ""))
    parts: dict[str, Callable[[], Iterable[Line]]] = {
        "prefill": lambda: gpu_attention.prefill_lines(sizes, on, matmul),
        "decode": lambda: gpu_attention.decode_lines(sizes, on, copy),
        "score": lambda: gpu_heads.score_lines(sizes, on),
        "logprob": lambda: gpu_heads.logprob_lines(sizes, on),
        "end to end": lambda: gpu_end_to_end.end_to_end_lines(sizes, on),
        "items": lambda: gpu_items.lines(sizes, on),
    }
    for name, lines in parts.items():
        with report.part(name):
            for line in lines():
                report.line(line)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a machine without a GPU")
    parser.add_argument("--out", type=Path, help="a file that every line is appended to as well")
    given = parser.parse_args(arguments)
    measured = torch.cuda.is_available()
    if not measured and not given.tiny:
        raise SystemExit("no GPU here: --tiny walks the same path through Triton's interpreter")
    on = torch.device("cuda" if measured else "cpu")
    sizes, began = TINY if given.tiny else FULL, time.perf_counter()
    report = Report(measured and not given.tiny, given.out)
    torch.manual_seed(0)
    report.say(f"{torch.cuda.get_device_name(on) if measured else 'no GPU'}, torch {torch.__version__}")
    check(sizes, on, report)
    report.head()
    time_all(sizes, on, report)
    report.say(f"{time.perf_counter() - began:.0f} s in all")
    if report.faults:
        raise SystemExit("faults: " + "; ".join(report.faults))


if __name__ == "__main__":
    main()
