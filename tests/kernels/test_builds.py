"""Every shipped configuration compiles ahead of time within its GPU's registers and shared memory; no GPU needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rranker.kernels.builds import builds
from rranker.kernels.report import origin

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "kernels.md"
# Bytes of shared memory a block may take: an H100's 227 KB; the 99 KB of the smallest GPU that runs the sm_80
# configurations (RTX 30 and 40 series); an MI300's 64 KB.
SHARED = {"sm_90": 227 * 1024, "sm_80": 99 * 1024, "gfx942": 64 * 1024}
MATRIX = {"sm_90": "wgmma", "sm_80": "mma.sync", "gfx942": "mfma"}


def compiled() -> dict[str, dict[str, Any]]:
    """All builds, by name, compiled now. In a process of its own: this one's kernels may be interpreted."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-W", "ignore", "-m", "rranker.kernels.report"]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-3000:]
    rows = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
    return {f"{r['kernel']}_kernel {r['shape']} {r['dtype']} {r['kind']}": r for r in rows}


def committed() -> dict[str, dict[str, Any]]:
    """The same, as the table of docs/kernels.md has it."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 11 and cells[3] in SHARED:
            kernel, shape, dtype, kind = cells[:4]
            spilled, shared, unit = int(cells[8]), int(cells[9].replace(",", "")), cells[10]
            row = {"kind": kind, "spilled": spilled, "shared": shared, "tensor_cores": unit}
            found[f"{kernel}_kernel {shape} {dtype} {kind}"] = row
    return found


@pytest.mark.slow  # where the kernels or Triton changed since the table was made: minutes
def test_every_configuration_fits_its_gpu() -> None:
    """Compiling is a function of Triton and the sources: what the table says of both is as good as done again."""
    rows = committed() if f"\n{origin()}\n" in TABLE.read_text(encoding="utf-8") else compiled()
    wrong = []
    for build in builds():
        row = rows[build.name]
        unit = MATRIX[build.kind] if build.matrix else row["tensor_cores"]
        if row["spilled"] or row["shared"] > SHARED[build.kind] or row["tensor_cores"] != unit:
            wrong.append((build.name, row))
    assert not wrong


ROTARY = """
from rranker.kernels.builds import builds
from rranker.kernels.report import assembled
for build in builds():
    if build.kernel == "rotary_kernel" and build.kind == "sm_90":
        code = assembled(build).asm["ptx"]
        print(build.name, *(line.split()[0] for line in code.splitlines() if "fma." in line or "mul." in line))
"""


def test_the_rotary_kernel_rounds_each_product_before_it_adds() -> None:
    """As PyTorch does: a fused multiply-add would skip a rounding, which only a GPU, or its code, shows."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-W", "ignore", "-c", ROTARY]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-3000:]
    rows = said.stdout.splitlines()
    assert {row.split()[0] for row in rows} == {"rotary_kernel"}
    assert all("mul.rn.f32" in row for row in rows)
    # Products without `.rn` are those that the assembler may still fuse.
    assert not [row for row in rows if "fma." in row or " mul.f32" in row]


def test_the_committed_table_lists_every_configuration() -> None:
    missing = {build.name for build in builds()} - committed().keys()
    assert not missing, "run `make kernels-report`"
