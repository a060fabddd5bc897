"""Every shipped configuration compiles ahead of time within its GPU's registers and shared memory; no GPU needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from rranker.kernels.builds import builds

ROOT = Path(__file__).parents[2]
# Bytes of shared memory a block may take: an H100's 227 KB; the 99 KB of the smallest GPU that runs the sm_80
# configurations (RTX 30 and 40 series); an MI300's 64 KB.
SHARED = {"sm_90": 227 * 1024, "sm_80": 99 * 1024, "gfx942": 64 * 1024}
MATRIX = {"sm_90": "wgmma", "sm_80": "mma.sync", "gfx942": "mfma"}


@cache
def compiled() -> dict[str, dict]:
    """All builds, by name. In a process of its own: this one's kernels may be interpreted."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-W", "ignore", "-m", "rranker.kernels.report"]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-3000:]
    rows = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
    return {f"{r['kernel']}_kernel {r['shape']} {r['dtype']} {r['kind']}": r for r in rows}


@pytest.mark.slow  # compiles them all, once
@pytest.mark.parametrize("name", [build.name for build in builds()])
def test_a_configuration_fits_its_gpu(name: str) -> None:
    row = compiled()[name]
    assert row["spilled"] == 0
    assert row["shared"] <= SHARED[row["kind"]]
    if row["matrix"]:
        assert row["tensor_cores"] == MATRIX[row["kind"]]


def test_the_committed_table_lists_every_configuration() -> None:
    table = (ROOT / "docs" / "kernels.md").read_text()
    lines = [
        [cell.strip() for cell in line.split("|")[1:5]] for line in table.splitlines() if line.startswith("|")
    ]
    listed = {" ".join([f"{kernel}_kernel", shape, dtype, kind]) for kernel, shape, dtype, kind in lines}
    missing = {build.name for build in builds()} - listed
    assert not missing, "run `make kernels-report`"


def test_the_committed_table_spills_nothing() -> None:
    table = (ROOT / "docs" / "kernels.md").read_text()
    spilled = re.findall(r"\| sm_\d0 \|.*\| (\d+) \| [\d,]+ \| [\w.]* \|$", table, re.MULTILINE)
    assert spilled
    assert set(spilled) == {"0"}
