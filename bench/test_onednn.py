"""A linear layer of Qwen2-0.5B's shape with weights packed once, beside torch's own: pytest-benchmark."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from rranker.engine.hardware import packs
from rranker.engine.onednn import PackedLinear


@pytest.mark.skipif(not packs(torch.bfloat16), reason="this CPU packs no bfloat16 (AVX-512 does)")
@pytest.mark.parametrize("rows", [1, 30, 90, 2000])
@pytest.mark.parametrize("kind", ["torch", "packed"])
@torch.inference_mode()
def test_linear(benchmark: Any, kind: str, rows: int) -> None:
    benchmark.group = f"linear 896 to 4864, bf16, {rows} rows"
    layers = [nn.Linear(896, 4864, bias=False).bfloat16() for _ in range(12)]  # more than the caches hold
    ready = [PackedLinear(layer) for layer in layers] if kind == "packed" else layers
    x = torch.randn(1, rows, 896).bfloat16()
    assert torch.equal(ready[0](x), layers[0](x))
    benchmark(lambda: [layer(x) for layer in ready])
