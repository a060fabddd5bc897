"""Every launch happens on its tensors' own GPU; stubs record where."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.kernels import guard
from rranker.kernels.attention import kernel as attention_kernels
from rranker.kernels.attention.kernel import attention
from rranker.kernels.gate import kernel as gate_kernels
from rranker.kernels.logprob import kernel as logprob_kernels
from rranker.kernels.norm import kernel as norm_kernels
from rranker.kernels.norm.reference import NormKind
from rranker.kernels.rotary import kernel as rotary_kernels
from rranker.kernels.score import kernel as score_kernels
from rranker.kernels.write import kernel as write_kernels
from tests.support.kernel_problems import problem

CPU = torch.device("cpu")
FUSED = (norm_kernels, rotary_kernels, gate_kernels, write_kernels)


def test_the_tensors_gpu_is_the_current_one(monkeypatch):
    current = []
    monkeypatch.setattr(
        torch.cuda, "device", lambda device: current.append(device) or contextmanager(iter)([0])
    )
    second = torch.device("cuda:1")
    with guard.on_device(SimpleNamespace(is_cuda=True, device=second)):
        assert current == [second]
    with guard.on_device(torch.zeros(1)):
        assert current == [second]  # a CPU has no current GPU


@pytest.fixture
def launches(monkeypatch):
    """Of every kernel launched: its name, and whose GPU was current."""
    seen, current = [], []

    @contextmanager
    def on_device(tensor):
        current.append(tensor)
        yield
        current.pop()

    class Stub:
        def __init__(self, name):
            self.name = name

        def __getitem__(self, grid):
            return lambda *_, **__: seen.append((self.name, bool(current)))

    for module in (attention_kernels, logprob_kernels, score_kernels, *FUSED):
        monkeypatch.setattr(module, "on_device", on_device)
        for name in [name for name in vars(module) if name.endswith("_kernel")]:
            monkeypatch.setattr(module, name, Stub(name))
    return seen


def test_every_launch_is_guarded(launches):
    case = problem([(0, 2, [0])], [1200], size=16)
    work = attention_metadata(case.plan, case.groups, 2, 16)
    tensors = [x.cpu() for x in case.tensors(torch.float32)]
    attention(*tensors, work, work.key_words(), torch.zeros(2, 4, 16), case.scaling)
    hidden, weight = torch.zeros(3, 8), torch.zeros(20, 8)
    score_kernels.score(hidden, weight, torch.zeros(3).int(), torch.arange(4).int(), 1)
    targets, sums = torch.zeros(3).long(), torch.zeros(3)
    logprob_kernels.forward(hidden, weight, targets, 1.0)
    logprob_kernels.backward(hidden, weight, targets, 1.0, sums, sums, sums, sums, (True, True))
    norm_kernels.norm(hidden, hidden[0], 1e-6, NormKind(False, True))
    norm_kernels.add_norm(hidden, hidden, hidden[0], 1e-6, NormKind(False, True))
    gate_kernels.gate(hidden, hidden, "silu")
    heads, rows = torch.zeros(1, 2, 3, 8), torch.arange(3)
    rotary_kernels.rotate(heads, heads, heads[:, 0], heads[:, 0])
    write_kernels.write(heads[0], heads[0], heads[0], heads[0], rows, rows)
    assert {name for name, _ in launches} == {
        *("attention_kernel", "merge_kernel", "score_kernel", "product_kernel"),
        *("logprob_forward_kernel", "logprob_grad_kernel"),
        *("norm_kernel", "add_norm_kernel", "gate_kernel", "rotary_kernel", "write_kernel"),
    }
    assert all(guarded for _, guarded in launches)
