"""Selected log-probabilities: the reference against torch, and the Triton kernels against the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.kernels.logprob import backward_reference, forward_reference, kernel, selected_logprobs
from rranker.kernels.logprob import reference as chunked
from tests.support.kernel_problems import DEVICE, relative_error

pytestmark = pytest.mark.gpu


def case(rows, width, vocabulary, seed=0):
    """hidden, weight, targets: float64 with every value exact in fp16; the last row's target is the last token."""
    torch.manual_seed(seed)
    hidden = (torch.randn(rows, width) / width**0.5).half().double()
    weight = (3 * torch.randn(vocabulary, width)).half().double()
    targets = torch.randint(vocabulary, (rows,))
    targets[-1] = vocabulary - 1
    return hidden.to(DEVICE), weight.to(DEVICE), targets.to(DEVICE)


def reference(hidden, weight, targets, scale):
    """The textbook formulation, on materialised logits."""
    logs = (hidden @ weight.T * scale).log_softmax(-1)
    return logs.gather(1, targets[:, None])[:, 0], -(logs.exp() * logs).sum(-1)


@pytest.fixture
def small_chunks(monkeypatch):
    """Several chunks and splits of a small vocabulary."""
    monkeypatch.setattr(chunked, "_CHUNK", 60)
    monkeypatch.setattr(kernel, "SPLIT", 256)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_the_reference_equals_materialised_logits(small_chunks, scale):
    hidden, weight, targets = case(5, 24, 200)
    for found, expected in zip(
        selected_logprobs(hidden.cpu(), weight.cpu(), targets.cpu(), scale=scale),
        reference(hidden.cpu(), weight.cpu(), targets.cpu(), scale),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def test_gradients_equal_finite_differences(small_chunks):
    hidden, weight, targets = (x.cpu() for x in case(4, 6, 130))
    hidden.requires_grad_(True)
    weight.requires_grad_(True)

    def function(h, w):
        return selected_logprobs(h, w, targets, scale=0.7)

    assert torch.autograd.gradcheck(function, (hidden, weight))


@pytest.mark.parametrize("frozen", ["hidden", "weight"])
def test_what_is_frozen_gets_no_gradient(small_chunks, frozen):
    hidden, weight, targets = (x.cpu() for x in case(4, 6, 130))
    trained = weight if frozen == "hidden" else hidden
    trained.requires_grad_(True)
    logprobs, entropy = selected_logprobs(hidden, weight, targets)
    (logprobs.sum() - entropy.sum()).backward()
    logs, mean = reference(hidden, weight, targets, 1.0)
    (expected,) = torch.autograd.grad(logs.sum() - mean.sum(), trained)
    torch.testing.assert_close(trained.grad, expected, atol=1e-10, rtol=1e-10)
    assert (hidden if frozen == "hidden" else weight).grad is None


def test_bfloat16_is_summed_in_fp32():
    hidden, weight, targets = (x.cpu() for x in case(4, 64, 500))
    logprobs, entropy = selected_logprobs(hidden.bfloat16(), weight.bfloat16(), targets)
    assert logprobs.dtype == entropy.dtype == torch.float32
    expected = reference(hidden.bfloat16().double(), weight.bfloat16().double(), targets, 1.0)
    assert relative_error(logprobs, expected[0]) < 1e-6
    assert relative_error(entropy, expected[1]) < 1e-6


SHAPES = [(1, 12, 30), (63, 80, 300), (129, 64, 517)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_triton_forward_equals_the_reference(small_chunks, shape, dtype):
    hidden, weight, targets = case(*shape)
    found = kernel.forward(hidden.to(dtype), weight.to(dtype), targets, 0.5)
    expected = forward_reference(hidden, weight, targets, 0.5)
    for one, other in zip(found, expected, strict=True):  # fp32 sums of exact products, in both dtypes
        assert relative_error(one, other) < 5e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_triton_backward_equals_the_reference(small_chunks, monkeypatch, shape, dtype):
    monkeypatch.setattr(kernel, "HELD", 256 * shape[0])  # several chunks
    hidden, weight, targets = case(*shape)
    _, entropy, lse = forward_reference(hidden, weight, targets, 0.5)
    rng = np.random.default_rng(0)
    upstream = [torch.from_numpy(rng.normal(size=shape[0])).to(DEVICE) for _ in range(2)]
    arguments = (0.5, lse, entropy, *upstream)
    expected = backward_reference(hidden, weight, targets, *arguments, (True, True))
    single = (0.5, *(x.float() for x in arguments[1:]))
    found = kernel.backward(hidden.to(dtype), weight.to(dtype), targets, *single, (True, True))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        assert relative_error(one, other) < (1e-5 if dtype == torch.float32 else 2e-3)
    only_hidden = kernel.backward(hidden.to(dtype), weight.to(dtype), targets, *single, (True, False))
    assert torch.equal(only_hidden[0], found[0])
    assert only_hidden[1] is None


def test_mismatched_arguments_are_named():
    hidden, weight, targets = (x.cpu() for x in case(4, 6, 10))
    with pytest.raises(ValueError, match=r"targets must be \[4\]"):
        selected_logprobs(hidden, weight, targets[:3])
    with pytest.raises(ValueError, match="of one dtype"):
        selected_logprobs(hidden.float(), weight, targets)
    with pytest.raises(ValueError, match=r"\[N, H\]"):
        selected_logprobs(hidden[:, :4], weight, targets)
