"""The GPU benchmark's whole flow, on tiny sizes."""

from __future__ import annotations

import pytest
import torch

from bench import gpu, gpu_plan
from bench.gpu_measure import Line, table

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")


@WITHOUT_GPU
def test_the_whole_flow_runs_and_claims_no_figure(capsys, tmp_path):
    gpu.main(["--tiny", "--out", str(tmp_path / "said.md")])
    said = capsys.readouterr().out
    assert (tmp_path / "said.md").read_text() == said
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
        "round by round",
        "items/s",
    ):
        assert part in names
    assert said.count("error of") == 8
    assert "FAULT" not in said


@WITHOUT_GPU
def test_full_sizes_need_a_gpu():
    with pytest.raises(SystemExit, match="--tiny"):
        gpu.main([])


def test_a_wrong_kernel_and_a_part_that_fails_are_named_and_the_rest_goes_on(monkeypatch, capsys):
    def breaks(*_):
        yield Line("before", "1", "2")
        raise RuntimeError("no more memory")

    monkeypatch.setattr(gpu.gpu_attention, "check", lambda *_: iter([("prefill", 0.5), ("decode", 0.0)]))
    monkeypatch.setattr(gpu.gpu_heads, "check", lambda *_: iter([("score", 0.0)]))
    monkeypatch.setattr(gpu.gpu_attention, "prefill_lines", breaks)
    for module, name in ((gpu.gpu_attention, "decode_lines"), (gpu.gpu_heads, "score_lines")):
        monkeypatch.setattr(module, name, lambda *_, name=name: iter([Line(name, "1", "2")]))
    monkeypatch.setattr(gpu.gpu_heads, "logprob_lines", lambda *_: iter([]))
    monkeypatch.setattr(gpu.gpu_end_to_end, "end_to_end_lines", lambda *_: iter([]))
    monkeypatch.setattr(gpu.gpu_items, "lines", lambda *_: iter([]))
    with pytest.raises(
        SystemExit, match=r"prefill does not compute.*prefill: RuntimeError\('no more memory'\)"
    ):
        gpu.main(["--tiny"])
    said = capsys.readouterr().out
    for part in ("error of score", "| before", "| decode_lines", "| score_lines"):
        assert part in said


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


@WITHOUT_GPU
def test_a_plan_walks_all_its_parts_and_writes_as_it_goes(tmp_path, capsys):
    # `bench` is walked above
    gpu_plan.main(["--tiny", "--out", str(tmp_path / "plan"), "--skip", "bench"])
    said = (tmp_path / "plan" / "plan.md").read_text()
    assert said == capsys.readouterr().out
    for part in gpu_plan.PARTS:
        assert (f"## {part.name}\n" in said) == (part.name != "bench")
    assert "FAULT" not in said
    assert said.count("scores differ by") == 5  # guesses or not, together or not, and replayed
    assert said.count(" recorded, ") == 2  # the small model, and the large one's shape
    assert said.count("from ours") == 4
    assert said.count("µs") == said.count(" ms") == 0  # no figure is claimed


def test_a_plan_stops_where_a_kernel_is_wrong_and_begins_no_part_too_late(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "check", lambda sizes, on, report: report.fault("prefill is wrong"))
    with pytest.raises(SystemExit, match="prefill is wrong"):
        gpu_plan.main(["--tiny", "--out", str(tmp_path)])
    assert "## model" not in (tmp_path / "plan.md").read_text()
    monkeypatch.setattr(gpu_plan.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_plan.torch.cuda, "get_device_name", lambda _: "a GPU")
    gpu_plan.main(["--out", str(tmp_path), "--minutes", "0.1"])
    assert (tmp_path / "plan.md").read_text().count("not begun") == len(gpu_plan.PARTS)
