"""Parts of `bench.gpu_plan`: the bundled model on both devices, a sweep of tiles, other ways to attend, counters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

# Before Triton is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

import rranker
from bench import gpu_attention
from bench.gpu_attention import Problem
from bench.gpu_measure import FULL, Sizes, seconds
from bench.gpu_report import Report
from rranker.engine.attention import attention_backend, triton_metadata
from rranker.engine.kv.cache import KVCache
from rranker.engine.transfer import Transfer
from rranker.kernels import launch

QUERIES = (
    "how do bees find flowers?",
    "films like Alien",
    "a cheap model for arithmetic",
    "capital of France",
)
TEXTS = (
    "Bees see ultraviolet marks on petals.",
    "Paris is the capital of France.",
    "Blade Runner (1982)",
    "A small language model that is good at sums.",
    "Aliens (1986)",
    "Flowers open in the morning.",
)
# Scores of one ranking on two devices, and in other company, may differ by so much: sums are taken in other orders.
CLOSE = 1e-4


# A checkpoint that the interpreter can run, in the bundled one's place.
TINY_MODEL = Path(__file__).parents[1] / "configs/tiny-start"
# As `ncu` names them: of their peaks, the shares of arithmetic, of tensor cores, and of memory.
COUNTERS = (
    "gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,"
    "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active,"
    "dram__throughput.avg.pct_of_peak_sustained_elapsed,sm__warps_active.avg.pct_of_peak_sustained_active"
)


def small(sizes: Sizes) -> bool:
    """Whether the path is only walked, on tiny sizes."""
    return sizes is not FULL


def name_of(sizes: Sizes) -> str:
    """Of the model of `ranker_of`."""
    return "tiny model" if small(sizes) else "bundled model"


def ranker_of(sizes: Sizes, on: torch.device, **settings: object) -> rranker.Ranker:
    """The bundled model, in float32; of tiny sizes, a tiny one."""
    model = TINY_MODEL if small(sizes) else None
    return rranker.Ranker(model, device=on, dtype="float32", **settings)  # type: ignore[arg-type]


def ranked(ranker: rranker.Ranker, sizes: Sizes, together: bool = True) -> list[rranker.Ranking]:
    few = 3 if small(sizes) else len(TEXTS)
    batch = [(query, list(TEXTS[:few])) for query in QUERIES[: few - 1]]
    if together:
        return list(ranker.rank_batch(batch, progress=False))
    return [ranker.rank(query, candidates) for query, candidates in batch]


@contextmanager
def quick(sizes: Sizes) -> Iterator[None]:
    """Interpreted, fp32's own small tiles take long: fewer and larger ones."""
    if not small(sizes):
        yield
        return
    with patch.dict(launch.FULL["sm_90"], {64: (128, 64, 8, 1)}):
        yield


def moved(mine: list[rranker.Ranking], theirs: list[rranker.Ranking]) -> float:
    """The largest difference of a candidate's score."""
    return max(
        abs(one.score - other.score)
        for ranking, expected in zip(mine, theirs, strict=True)
        for one, other in zip(
            sorted(ranking, key=lambda candidate: candidate.index),
            sorted(expected, key=lambda candidate: candidate.index),
            strict=True,
        )
    )


def model(sizes: Sizes, on: torch.device, report: Report) -> None:
    """The bundled model in float32: on the CPU and here, alone and in a batch, with guesses and without."""
    with ranker_of(sizes, torch.device("cpu"), attention_backend="cpu") as plain:
        cpu = ranked(plain, sizes)
    for speculate in (True, False):
        with quick(sizes), ranker_of(sizes, on, attention_backend="triton", speculate=speculate) as ranker:
            for together in (False, True):
                name = f"{name_of(sizes)}, guesses {speculate}, together {together}, against the CPU"
                difference = moved(ranked(ranker, sizes, together), cpu)
                report.say(f"{name}: scores differ by {difference:.1e} at most")
                if not difference <= CLOSE:
                    report.fault(name)


@contextmanager
def _tile(rows: int, stages: int, split: int, size: int) -> Iterator[None]:
    padded = max(64, launch.ceil_pow2(size))
    kind = launch.kind_of(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    table = launch.HALF[kind]
    _, keys, warps, _ = table[padded]
    with (
        patch.dict(table, {padded: (rows, keys, warps, stages)}),
        patch.object(triton_metadata, "SPLIT", split),
    ):
        yield


def sweep(sizes: Sizes, on: torch.device, report: Report) -> None:
    """µs of the attention kernel, by stages, rows of a tile and cells of a split."""
    plans = {
        "candidates": gpu_attention.candidates_plan(sizes),
        "questions": gpu_attention.questions_plan(sizes),
    }
    plans["rollouts"] = gpu_attention.rollouts_plan(sizes, True)
    for name, plan in plans.items():
        case = gpu_attention.problem(*plan, sizes, on)
        choices = (
            product((64, 128), (2, 3, 4), (4, 8, 16)) if on.type == "cuda" else [(64, 2, 4), (128, 3, 8)]
        )
        for rows, stages, split in choices:
            what = f"{name}, {rows} rows, {stages} stages, splits of {split * 64}"
            with report.part(what), _tile(rows, stages, split, sizes.head_dim):
                took = seconds(case.runner(), on)
                report.say(f"{what}: " + (f"{took * 1e6:.0f} µs" if on.type == "cuda" else "not measured"))


def others(sizes: Sizes, on: torch.device, report: Report) -> None:
    """Other ways to attend, as far as they are installed: a layer of them beside a layer of ours."""
    plans = {
        "candidates": gpu_attention.candidates_plan(sizes),
        "questions": gpu_attention.questions_plan(sizes),
    }
    names = ("triton", "varlen", "flash", "flashinfer") if on.type == "cuda" else ("triton", "reference")
    for plan, (builder, slots) in plans.items():
        case, first = gpu_attention.problem(builder, slots, sizes, on), None
        for name in names:
            what = f"{plan} through {name}"
            with report.part(what):
                try:
                    layer = _layer(name, case)
                except (ImportError, ValueError) as error:
                    report.say(f"{what}: not here ({error})")
                    continue
                out = layer()
                first = out if first is None else first
                apart = float((out.double() - first.double()).norm() / first.double().norm())
                took = f"{seconds(layer, on) * 1e6:.0f} µs" if on.type == "cuda" else "not measured"
                report.say(f"{what}: {took}, {apart:.1e} from ours")
                if not apart < 2e-2:
                    report.fault(what)


def _layer(name: str, case: Problem) -> Callable[[], Tensor]:
    """One layer of a step under a backend, as the engine calls it; raises what choosing it raises."""
    backend, transfer = attention_backend(name), Transfer(case.query.device)
    store = KVCache(1, case.stored[0].shape[1])
    store.write(0, slice(0, store.slots), *case.stored)
    step = backend.prepare(case.plan, store, transfer, (None,))
    transfer.send()
    query, key, value = (x[None] for x in (case.query, *case.own))
    return lambda: step(0, query, key, value, scaling=case.scaling, window=None)


def counters(sizes: Sizes, on: torch.device, report: Report) -> None:
    """What the GPU's own counters say of the attention kernel, where Nsight Compute may read them."""
    tool = shutil.which("ncu")
    if tool is None or on.type != "cuda":
        report.say("ncu: not here, or no GPU; counters not read")
        return
    command = [tool, "--metrics", COUNTERS, "--kernel-name", "regex:attention_kernel|merge_kernel"]
    command += ["--launch-count", "8", sys.executable, "-c"]
    command.append("from bench.gpu_steps import watched; watched()")
    said = subprocess.run(command, capture_output=True, text=True, timeout=150)
    report.say(said.stdout[-6000:] + said.stderr[-1000:])
    if said.returncode:
        report.fault("ncu failed: reading counters may need more rights than this machine gives")


def watched() -> None:
    """What `ncu` watches: a layer of each plan, a few times."""
    on = torch.device("cuda")
    for plan in (gpu_attention.candidates_plan, gpu_attention.questions_plan):
        layer = _layer("triton", gpu_attention.problem(*plan(FULL), FULL, on))
        for _ in range(2):
            layer()
    torch.cuda.synchronize(on)
