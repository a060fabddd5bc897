"""Part of `bench.gpu_plan`: what a step is made of, and what is left of it when its launches are replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from bench import gpu_end_to_end, gpu_steps
from bench.gpu_measure import Sizes, warm_seconds
from bench.gpu_report import Report
from rranker.engine.attention import attention_backend
from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.replay import CudaRecorder, Replays
from rranker.engine.runner import ModelRunner


def anatomy(sizes: Sizes, on: torch.device, report: Report) -> None:
    """Passes, guesses, launches and the GPU's busy share: of the bundled model, and of Qwen2.5-3B's shape."""
    name = gpu_steps.name_of(sizes)
    with (
        gpu_steps.quick(sizes),
        gpu_steps.ranker_of(sizes, on, attention_backend="triton") as ranker,
    ):
        found = gpu_steps.ranked(ranker, sizes)
        stats = [ranking.stats for ranking in found]
        report.say(
            f"{name}: {max(x.forward_passes for x in stats)} passes, "
            f"{sum(x.speculation_hits for x in stats)} hits, {sum(x.speculation_misses for x in stats)} misses"
        )
        runner = ranker._scorer.engine.runner  # type: ignore[attr-defined]  # noqa: SLF001
        _compare(name, runner, lambda: gpu_steps.ranked(ranker, sizes), on, report)
        with _replaying(runner, on):
            replayed = [gpu_steps.ranked(ranker, sizes) for _ in range(3)][-1]
        difference = gpu_steps.moved(replayed, found)
        report.say(f"{name}, replayed: scores differ by {difference:.1e} at most")
        if not difference <= gpu_steps.CLOSE:
            report.fault("replayed steps do not say what steps say")
    # One query alone is bound by launches; a few together are not.
    for n, queries in sizes.end_to_end[: 1 if gpu_steps.small(sizes) else 2]:
        with gpu_steps.quick(sizes):
            _random_weights(sizes, n, queries, on, report)


def _random_weights(sizes: Sizes, n: int, queries: int, on: torch.device, report: Report) -> None:
    lm = gpu_end_to_end.fused(gpu_end_to_end.model(sizes, on))
    engine = Engine(
        lm,
        IdentifierReadout(lm),
        attention_mode="block",
        attention_backend=attention_backend("triton"),
        kv_cache_tokens=queries * (n * sizes.candidate + sizes.prefix),
        max_batch_tokens=gpu_end_to_end.STEP_ROWS,
    )
    engine.runner.price(fused=True)
    said, name = list[str](), f"n = {n}, {queries} together"
    _compare(name, engine.runner, lambda: gpu_end_to_end.rank(engine, sizes, n, queries, said), on, report)
    report.say(f"{name}: {said[0]}; with random weights guesses hold more often than they should")


def _compare(
    name: str, runner: ModelRunner, work: Callable[[], object], on: torch.device, report: Report
) -> None:
    """Operator by operator against replayed; the first of them under the profiler, too."""
    eager = warm_seconds(work, on)
    with _replaying(runner, on) as replays:
        for _ in range(2):  # a size is recorded when it comes up a second time
            work()
        graphs = warm_seconds(work, on)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(replays.counts.items()))
    report.say(f"{name}: steps {counts}")
    if replays.failure is not None:
        report.fault(f"{name}: nothing was recorded: {replays.failure!r}")
    if on.type != "cuda":
        report.say(f"{name}: eager and graphs not measured")
        return
    report.say(f"{name}: eager {eager * 1e3:.2f} ms, graphs {graphs * 1e3:.2f} ms, {eager / graphs:.2f}×")
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
        torch.cuda.synchronize(on)
    kernels = [event for event in seen.events() if event.device_type == DeviceType.CUDA]
    busy = sum(event.device_time for event in kernels) / 1e6
    report.say(f"{name}: {len(kernels)} launches and copies, the GPU works {busy / eager:.0%} of the time")
    report.say(seen.key_averages().table(sort_by="device_time_total", row_limit=15, max_name_column_width=60))


@contextmanager
def _replaying(runner: ModelRunner, on: torch.device) -> Iterator[Replays]:
    """While it lasts, steps are replayed; without a GPU by calling again what was recorded."""
    before = runner.replays
    try:
        yield runner.record_by(CudaRecorder(on) if on.type == "cuda" else _again)
    finally:
        runner.replays = before


def _again(function: Callable[[], Tensor]) -> Callable[[], Tensor]:
    return function
