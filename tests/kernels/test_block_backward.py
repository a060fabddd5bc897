"""Block attention for training: the pieces of `training/packing/attention.py` run, and are differentiated, on a GPU.

tests/training holds them to dense masks inside a model on the CPU. Here: the same pieces alone, on the GPU when there
is one, against dense attention in float64; and, with or without one, that no tensor is left on another device.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from rranker.prompts import Segments
from rranker.training.packing.attention import packed_attention
from rranker.training.packing.layout import Layout, build_layout
from tests.support.kernel_problems import DEVICE, relative_error
from tests.support.packing_reference import reference_mask

pytestmark = pytest.mark.gpu


def layout() -> Layout:
    """Two queries: ragged candidates, three suffix copies, one of which has a single candidate left."""
    segments = [
        Segments((1, 2, 3), ((4,), (5, 6, 7, 8), (9, 10)), (0,)),
        Segments((1,), ((4, 5), (6,)), (0,)),
    ]
    alive = [
        torch.tensor([[True, True, True], [False, True, False], [True, False, True]]),
        torch.tensor([[True, True], [True, False], [True, True]]),
    ]
    return build_layout(segments, [(0, 0, 0)] * 2, alive)


def moved(where: Layout, to: str | torch.device) -> Layout:
    values = {field.name: getattr(where, field.name) for field in fields(where)}
    return replace(where, **{name: x.to(to) for name, x in values.items() if isinstance(x, torch.Tensor)})


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gradients_equal_dense_attention(groups):
    where, size = layout(), 16
    rows = len(where.ids)
    torch.manual_seed(groups)
    query, key, value = (
        torch.randn(1, heads, rows, size, dtype=torch.float64) for heads in (2 * groups, 2, 2)
    )
    upstream = torch.randn(1, rows, 2 * groups, size, dtype=torch.float64)

    exact = [x.clone().requires_grad_(True) for x in (query, key, value)]
    some, more = (x.repeat_interleave(groups, 1) for x in exact[1:])
    scores = exact[0] @ some.transpose(2, 3) * 0.3 + reference_mask(where).double()
    expected = (scores.softmax(-1) @ more).transpose(1, 2)
    (expected * upstream).sum().backward()

    inputs = [x.to(DEVICE, torch.float32).requires_grad_(True) for x in (query, key, value)]
    found, _ = packed_attention(torch.nn.Module(), *inputs, None, scaling=0.3, layout=moved(where, DEVICE))
    (found * upstream.to(DEVICE, torch.float32)).sum().backward()

    assert relative_error(found.detach(), expected.detach()) < 1e-6
    for one, other in zip(inputs, exact, strict=True):
        assert relative_error(one.grad, other.grad) < 1e-6


def test_no_tensor_is_made_on_another_device():
    # Meta tensors carry shapes and a device only, and refuse to be added to a CPU tensor, as a GPU's would.
    where = moved(layout(), "meta")
    rows = len(where.ids)
    inputs = [torch.empty(1, heads, rows, 16, device="meta", requires_grad=True) for heads in (4, 2, 2)]
    found, _ = packed_attention(torch.nn.Module(), *inputs, None, scaling=0.3, layout=where)
    found.sum().backward()
    assert found.shape == (1, rows, 4, 16)
    assert {x.grad.device.type for x in inputs} == {"meta"}
