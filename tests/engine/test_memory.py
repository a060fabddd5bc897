"""What a KV cache takes where nobody says, on stand-ins for models and devices that are not here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rranker.engine.batch import BatchBuilder
from rranker.engine.engine import Engine
from rranker.engine.memory import default_batch_tokens, default_kv_tokens, token_bytes
from rranker.engine.readout import IdentifierReadout
from tests.support.architectures import CONFIGS, tiny_model


def shaped(device: str, layers: int, heads: int, kv_heads: int, size: int) -> Any:
    """A bfloat16 model's outside."""
    config = SimpleNamespace(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        hidden_size=heads * size,
    )
    return SimpleNamespace(config=config, dtype=torch.bfloat16, device=torch.device(device))


def test_a_model_of_7_billion_weights_reserves_4_gib_on_a_cpu_and_a_small_one_as_much_as_ever() -> None:
    llama2_7b = shaped("cpu", 32, 32, 32, 128)  # 65,536 tokens of it took 34 GB
    assert default_kv_tokens(llama2_7b) * token_bytes(llama2_7b) == 4 << 30
    assert default_kv_tokens(shaped("cpu", 30, 9, 3, 64)) == 65536


def test_on_a_gpu_the_cache_takes_three_fifths_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    free = 20 << 30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 << 30))
    model = shaped("cuda", 32, 32, 32, 128)
    taken = default_kv_tokens(model) * token_bytes(model)
    assert 0.59 * free < taken <= 0.6 * free
    assert default_kv_tokens(shaped("cuda", 6, 12, 12, 32)) == 1 << 20
    free = 1 << 10
    with pytest.raises(MemoryError, match="leaves 1024 bytes of cuda free"):
        default_kv_tokens(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pass_on_a_cpu_computes_with_less_than_the_c_library_gives_back(dtype: torch.dtype) -> None:
    lm = tiny_model("llama", hidden_size=64, intermediate_size=2048).to(dtype)
    rows = default_batch_tokens(lm)
    widest = rows * 2048 * dtype.itemsize  # the activation of its MLP
    assert widest == 16 << 20
    assert default_batch_tokens(tiny_model("llama", hidden_size=64, intermediate_size=1 << 17)) == 256
    assert default_batch_tokens(shaped("cuda", 6, 12, 12, 32)) == 32768


@pytest.mark.parametrize("name", CONFIGS)
def test_the_bytes_of_a_token_are_what_the_cache_holds_of_it(name: str) -> None:
    lm = tiny_model(name)
    expected = token_bytes(lm)
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="block", kv_cache_tokens=64)
    store_three(engine)
    held = [engine.runner.kv_cache.read(layer, slice(0, 1)) for layer in range(lm.config.num_hidden_layers)]
    assert sum(part.numel() * part.element_size() for pair in held for part in pair) == expected


def store_three(engine: Engine) -> None:
    """One pass that stores a few tokens."""
    builder = BatchBuilder()
    builder.read(builder.chunk(np.arange(3, 6), 0, np.zeros(0, dtype=np.int64), 0, 0))
    engine.runner.hidden(builder.build())


def test_an_engine_reserves_by_default_what_suits_its_device() -> None:
    lm = tiny_model("llama")
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="block")
    assert engine.runner.kv_cache.slots == default_kv_tokens(lm) == 65536
