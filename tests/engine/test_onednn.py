"""Packed weights change where numbers lie, not what they are."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rranker.engine.hardware import packs
from rranker.engine.onednn import PackedLinear, pack_linears, packable, weight_count
from tests.support.architectures import tiny_model

PACKS = pytest.mark.skipif(not packs(torch.bfloat16), reason="this CPU packs no bfloat16 (AVX-512 does)")


@PACKS
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 5, 64, 300])
def test_a_packed_layer_equals_its_original(rows: int, bias: bool) -> None:
    torch.manual_seed(rows)
    linear = nn.Linear(48, 96, bias=bias).bfloat16()
    x = torch.randn(1, rows, 48).bfloat16()
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(linear)(x), linear(x), rtol=0.01, atol=0.01)


@PACKS
def test_a_packed_model_says_the_same_and_keeps_embeddings_and_head() -> None:
    plain = tiny_model("qwen2").bfloat16()
    packed = copy.deepcopy(plain)
    assert packable(packed)
    before = weight_count(packed.base_model)
    pack_linears(packed)
    assert not [m for m in packed.base_model.modules() if type(m) is nn.Linear]
    assert isinstance(packed.lm_head, nn.Linear)
    # what remains are weights, embeddings and norms; biases are packed away uncounted
    biases = sum(p.numel() for name, p in plain.base_model.named_parameters() if name.endswith("bias"))
    assert weight_count(packed.base_model) == before - biases
    ids = torch.arange(20)[None] + 5
    with torch.inference_mode():
        torch.testing.assert_close(packed(ids).logits, plain(ids).logits, rtol=0.05, atol=0.05)


def test_models_are_packed_where_the_cpu_can_and_only_in_bfloat16() -> None:
    assert not packable(tiny_model("llama"))
    assert packable(tiny_model("llama").bfloat16()) == packs(torch.bfloat16)
