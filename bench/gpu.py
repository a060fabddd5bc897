"""Checks and times every kernel and the whole engine on one GPU of 80 GB or more, and prints one table.

    python -m bench.gpu            in bfloat16
    python -m bench.gpu --tiny     the same path on tiny sizes; without a GPU through Triton's interpreter, and every
                                   figure of the table reads "not measured"

Errors are relative to float64 references and must hold before anything is timed. Device times are medians with a cold
L2 cache; end-to-end times are wall times. The copies of prefixes that SDPA needs are made before its clock starts.
"""

from __future__ import annotations

import argparse
import os
import time

import torch

# Before Triton is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from bench import gpu_attention, gpu_end_to_end, gpu_heads
from bench.gpu_measure import FULL, TINY, Line, Sizes, copy_bandwidth, matmul_flops, table

# Of float64, by dtype. bf16 keeps 8 bits, and a softmax's weights are rounded to it before they meet the values.
TOLERANCE = {torch.bfloat16: 1e-2, torch.float32: 1e-5}


def check(sizes: Sizes, on: torch.device) -> None:
    """Prints every error. Raises SystemExit when one is too large."""
    for part in (gpu_attention, gpu_heads):
        for name, error in part.check(sizes, on):
            print(f"error of {name}: {error:.1e}")
            if not error <= TOLERANCE[sizes.dtype]:
                raise SystemExit(f"{name} does not compute what its reference computes")


def lines(sizes: Sizes, on: torch.device) -> list[Line]:
    matmul, copy = matmul_flops(sizes, on), copy_bandwidth(sizes, on)
    return [
        Line("one large matmul (TFLOP/s)", f"{matmul / 1e12:.0f}", ""),
        Line("one large device copy (GB/s)", f"{copy / 1e9:.0f}", ""),
        *gpu_attention.prefill_lines(sizes, on, matmul),
        *gpu_attention.decode_lines(sizes, on, copy),
        *gpu_heads.score_lines(sizes, on),
        *gpu_heads.logprob_lines(sizes, on),
        *gpu_end_to_end.end_to_end_lines(sizes, on),
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a machine without a GPU")
    tiny = parser.parse_args(arguments).tiny
    measured = torch.cuda.is_available()
    if not measured and not tiny:
        raise SystemExit("no GPU here: --tiny walks the same path through Triton's interpreter")
    on = torch.device("cuda" if measured else "cpu")
    sizes, began = TINY if tiny else FULL, time.perf_counter()
    torch.manual_seed(0)
    check(sizes, on)
    found = table(lines(sizes, on), measured and not tiny)
    print(
        f"\n{torch.cuda.get_device_name(on) if measured else 'no GPU'}, torch {torch.__version__}\n\n{found}\n"
    )
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
