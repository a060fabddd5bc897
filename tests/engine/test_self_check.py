"""The check at load: what it refuses, in single and half precision, and heads it cannot read."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rranker.engine.attention import attention_backend
from rranker.engine.attention.transformers_hook import ForwardPass
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.readout import IdentifierReadout
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import self_check
from tests.support.architectures import tiny_model

HALVES = [torch.bfloat16, torch.float16]


def check(lm: Any, attention: Any = "block") -> float:
    return self_check(lm, ModelRunner(lm, attention_backend("cpu"), slots=64), attention)


def looped() -> Any:
    """Three layers applied twice, as recurrent-depth models do."""
    lm = tiny_model("llama")
    lm.model.layers = nn.ModuleList([*lm.model.layers, *lm.model.layers])
    lm.config.num_hidden_layers = 6
    return lm


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
@pytest.mark.parametrize("attention", ["block", "causal"])
def test_a_small_departure_is_refused_in_every_dtype(monkeypatch, dtype, attention):
    """Attention that is a little sharper than the model's own, by less than bfloat16 was once allowed to differ."""
    original = ForwardPass.__call__

    def sharper(self: ForwardPass, *args: Any, scaling: float, **rest: Any) -> Tensor:
        return original(self, *args, scaling=1.2 * scaling, **rest)

    monkeypatch.setattr(ForwardPass, "__call__", sharper)
    with pytest.raises(UnsupportedModelError, match="does not compute in the engine") as refused:
        check(tiny_model("qwen3").to(dtype), attention)
    error = re.search(r"error (\S+),", str(refused.value))
    assert error is not None
    assert float(error[1]) < 0.15


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
@pytest.mark.parametrize("attention", ["block", "causal"])
def test_looped_layers_are_refused_by_name(dtype, attention):
    with pytest.raises(UnsupportedModelError, match="layer 0 more than once"):
        check(looped().to(dtype), attention)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3", "granite", "olmo2"])
def test_rounding_is_no_departure(name, dtype):
    for seed in range(3):
        for attention in ("block", "causal"):
            check(tiny_model(name, seed=seed).to(dtype), attention)


@pytest.mark.parametrize(("name", "seed"), [("mixtral", 15), ("mixtral", 73), ("mixtral", 94)])
def test_an_expert_chosen_otherwise_by_rounding_is_no_departure(name, seed):
    """On these seeds a router tips over in bfloat16 on the first problem; in fp32 they agree to 1e-6."""
    lm = tiny_model(name, seed=seed)
    assert check(lm) < 1e-4
    assert check(lm.bfloat16()) < 0.1


class Normalised(nn.Linear):
    """A cosine head."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(nn.functional.normalize(x, dim=-1), self.weight)


class Adapted(nn.Module):
    """A head with an adapter beside it, whose `weight` is the base's alone."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base, self.bias = base, None
        self.down, self.up = nn.Linear(base.in_features, 2), nn.Linear(2, base.out_features)

    @property
    def weight(self) -> Tensor:
        return self.base.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


def hooked(lm: Any) -> nn.Module:
    lm.lm_head.register_forward_hook(lambda _, inputs, output: output * 2)
    return lm.lm_head


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (lambda lm: Normalised(48, 320, bias=False), "is a Normalised"),
        (lambda lm: Adapted(lm.lm_head), "is a Adapted"),
        (lambda lm: nn.Sequential(nn.LayerNorm(48), lm.lm_head), "is a Sequential"),
        (hooked, "a Linear with hooks"),
        (lambda lm: nn.utils.parametrizations.weight_norm(nn.Linear(48, 320, bias=False)), "Linear"),
        (lambda lm: nn.Linear(48, 320), "has a bias"),
        (lambda lm: nn.Linear(48, 300, bias=False), r"shape \(300, 48\)"),
    ],
)
def test_heads_that_are_no_plain_product_are_refused_by_name(head, reason):
    lm = tiny_model("llama")
    lm.lm_head = head(lm)
    with pytest.raises(UnsupportedModelError, match=reason):
        IdentifierReadout(lm)
