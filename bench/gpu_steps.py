"""Parts of `bench.gpu_plan`: the bundled model on both devices, the anatomy of a step, a sweep, what else attends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import product
from unittest.mock import patch

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

import rranker
from bench import gpu_attention
from bench.gpu_measure import Sizes, seconds, warm_seconds
from bench.gpu_report import Report
from rranker.engine.attention import triton_metadata
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


def _ranked(ranker: rranker.Ranker, together: bool, few: int) -> list[rranker.Ranking]:
    if few == 2:  # interpreted: fewer and larger tiles than fp32's own, which take long
        with patch.dict(launch.FULL["sm_90"], {64: (128, 64, 8, 1)}):
            return _ranked_all(ranker, together, few)
    return _ranked_all(ranker, together, few)


def _ranked_all(ranker: rranker.Ranker, together: bool, few: int) -> list[rranker.Ranking]:
    batch = [(query, list(TEXTS[:few])) for query in QUERIES[: few - 1]]
    if together:
        return list(ranker.rank_batch(batch))
    return [ranker.rank(query, candidates) for query, candidates in batch]


def model(sizes: Sizes, on: torch.device, report: Report) -> None:
    """The bundled model in float32: on the CPU and here, alone and in a batch, with guesses and without."""
    few = 2 if on.type == "cpu" else len(TEXTS)
    cpu = _ranked(rranker.Ranker(device="cpu", dtype="float32"), True, few)
    setting = {"device": on, "dtype": "float32", "attention_backend": "triton"}
    for speculate in (True, False):
        ranker = rranker.Ranker(speculate=speculate, **setting)  # type: ignore[arg-type]
        for together in (False, True):
            name = f"bundled model, guesses {speculate}, together {together}, against the CPU"
            moved = [
                abs(one.score - other.score)
                for mine, theirs in zip(_ranked(ranker, together, few), cpu, strict=True)
                for one, other in zip(
                    sorted(mine, key=lambda candidate: candidate.index),
                    sorted(theirs, key=lambda candidate: candidate.index),
                    strict=True,
                )
            ]
            report.say(f"{name}: scores differ by {max(moved):.1e} at most")
            if not max(moved) <= CLOSE:
                report.fault(name)


def anatomy(sizes: Sizes, on: torch.device, report: Report) -> None:
    """Of the bundled model: passes, guesses, launches, and the share of the time in which the GPU works."""
    few = 2 if on.type == "cpu" else len(TEXTS)
    ranker = rranker.Ranker(device=on, attention_backend="triton", dtype="float32")
    stats = [ranking.stats for ranking in _ranked(ranker, True, few)]
    took = warm_seconds(lambda: _ranked(ranker, True, few), on)
    report.say(
        f"{max(x.forward_passes for x in stats)} passes, {sum(x.speculation_hits for x in stats)} hits, "
        f"{sum(x.speculation_misses for x in stats)} misses"
    )
    if on.type != "cuda":
        return
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        _ranked(ranker, True, few)
        torch.cuda.synchronize(on)
    kernels = [event for event in seen.events() if event.device_type == DeviceType.CUDA]
    busy = sum(event.device_time for event in kernels) / 1e6
    report.say(
        f"{took * 1e3:.2f} ms, {len(kernels)} launches and copies, the GPU works {busy / took:.0%} of the time"
    )
    report.say(seen.key_averages().table(sort_by="device_time_total", row_limit=15, max_name_column_width=60))


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
    """Which other ways to attend are installed here."""
    for module in ("torch.nn.attention.varlen", "flash_attn", "flashinfer", "liger_kernel"):
        with report.part(module):
            there = find_spec(module.split(".")[0]) is not None and find_spec(module) is not None
            report.say(f"{module}: {'installed' if there else 'not installed'}")
