"""The GPU benchmark's whole flow, on tiny sizes."""

from __future__ import annotations

import pytest
import torch

from bench import gpu
from bench.gpu_measure import Line, table

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")


@WITHOUT_GPU
def test_the_whole_flow_runs_and_claims_no_figure(capsys):
    gpu.main(["--tiny"])
    said = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in said.splitlines() if line.startswith("| ")][1:]
    assert {row[1].strip() for row in rows} == {"not measured"}
    names = " ".join(row[0] for row in rows)
    for part in (
        "matmul",
        "copy",
        "prefill",
        "decode",
        "score",
        "logprob",
        "backward",
        "memory",
        "end to end",
    ):
        assert part in names
    assert said.count("error of") == 8


@WITHOUT_GPU
def test_full_sizes_need_a_gpu():
    with pytest.raises(SystemExit, match="--tiny"):
        gpu.main([])


def test_a_wrong_kernel_stops_it(monkeypatch):
    monkeypatch.setattr(gpu.gpu_attention, "check", lambda sizes, on: iter([("prefill", 0.5)]))
    with pytest.raises(SystemExit, match="prefill"):
        gpu.check(gpu.TINY, torch.device("cpu"))


def test_goals_point_both_ways():
    lines = [
        Line("fast", "1", "2", 1.2, 1.0),
        Line("slow", "1", "2", 0.8, 1.0),
        Line("small", "1", "2", 0.05, 0.1, at_least=False),
        Line("large", "1", "2", 0.2, 0.1, at_least=False),
        Line("equal", "1", "1", 1.25, 1.25, at_least=False),
    ]
    rows = [line.split("|")[1:-1] for line in table(lines, True).splitlines()[2:]]
    assert [row[-1].strip() for row in rows] == ["yes", "no", "yes", "no", "yes"]
    assert [row[-2].strip() for row in rows] == ["≥ 1.00", "≥ 1.00", "≤ 0.10", "≤ 0.10", "≤ 1.25"]
