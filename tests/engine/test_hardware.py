"""One function says which type suits the hardware, and everybody follows it; lesser CPUs are simulated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from rranker.engine.hardware import best_dtype, packs, runs_well

CPU = torch.device("cpu")
# oneDNN is told to use no newer instructions. torch's capability flags, facts of the processor, do not change.
LESSER = ["SSE41", "AVX", "AVX2"]


def on(isa: str, code: str) -> tuple[Any, str]:
    """What `code` prints last, as JSON, and what it writes to standard error, in a process of that instruction set."""
    environment = {
        **os.environ,
        "ONEDNN_MAX_CPU_ISA": isa,
        "ATEN_CPU_CAPABILITY": "avx2",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.parametrize("isa", LESSER)
def test_without_the_instructions_the_choice_is_float32(isa: str) -> None:
    code = (
        "import json, torch; from rranker.engine.hardware import best_dtype, packs; cpu = torch.device('cpu');"
        "print(json.dumps([str(best_dtype(cpu)), packs(torch.bfloat16), packs(torch.float16), packs(torch.float32)]))"
    )
    assert on(isa, code)[0] == ["torch.float32", False, False, True]


RANKERS = """
import json, logging
from rranker import Ranker
texts = ["Bees dance to show where flowers are.", "The stock exchange opened higher.", "Honey keeps for years."]
found = {}
for dtype in (None, "float32", "bfloat16", "float16"):
    with Ranker(dtype=dtype, kv_cache_tokens=512) as ranker:
        found[str(dtype)] = [str(ranker.model.lm.dtype), ranker.rank("how do bees find flowers?", texts).order]
print(json.dumps(found))
"""


def test_an_explicit_half_precision_is_taken_with_a_warning() -> None:
    """It used to raise `mkldnn_reorder_linear_weight: bf16 path needs the cpu support …`."""
    found, said = on("AVX2", RANKERS)
    assert [dtype for dtype, _ in found.values()] == [
        "torch.float32",
        "torch.float32",
        "torch.bfloat16",
        "torch.float16",
    ]
    assert len({tuple(order) for _, order in found.values()}) == 1
    warnings = said.splitlines()
    assert [line.split()[0] for line in warnings] == ["bfloat16", "float16"]  # the default says nothing
    assert all("emulated on this cpu" in line and "leave `dtype` out" in line for line in warnings)


TRAINERS = """
import json, sys
from rranker.training.grpo.arguments import parse
from rranker.training.sft.config import SftConfig
from rranker.training.sft.options import configured, parse as parse_sft
words = ["--config", "configs/tiny.yaml", "--report_to", "none"]
print(json.dumps([
    SftConfig().precision,
    configured(parse_sft([])).precision,
    configured(parse_sft(["--precision", "bf16"])).precision,
    parse(words)[1].bf16,
    parse([*words, "--bf16", "true"])[1].bf16,
]))
"""


@pytest.mark.parametrize("isa", ["AVX2", "DEFAULT"])
def test_training_follows(isa: str) -> None:
    """Both trainers, and the configuration of the first run that the docs name."""
    found, said = on(os.environ.get("ONEDNN_MAX_CPU_ISA", isa) if isa == "DEFAULT" else isa, TRAINERS)
    fast = isa == "DEFAULT" and best_dtype(CPU) == torch.bfloat16
    assert found == ["bf16" if fast else "fp32"] * 2 + ["bf16", fast, True]
    assert ("bfloat16 is emulated" in said) != fast
    if not fast:
        assert "leave `precision` out" in said
        assert "leave `bf16` out" in said


def test_what_runs_well_here_is_what_the_operator_takes() -> None:
    assert runs_well(CPU, torch.float32)
    assert best_dtype(CPU) in (torch.float32, torch.bfloat16)
    assert runs_well(CPU, best_dtype(CPU))
    assert packs(torch.bfloat16) or not runs_well(CPU, torch.bfloat16)


def test_devices_that_nobody_knows_get_float32() -> None:
    assert best_dtype(torch.device("meta")) == torch.float32
