"""What a layer may see is what the model's own masks say, whether or not its attention function is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as t

from rranker.engine.attention import attention_backend, step
from rranker.engine.attention.limits import layer_windows, limited
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.readout import IdentifierReadout
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import self_check
from rranker.prompts import Segments
from tests.support.architectures import SIZE, VOCAB, randomized
from tests.support.engine_steps import QUERY_STATES, close, fresh_causal_logits, one_step

WINDOW = 32
_MIXED = ["sliding_attention", "full_attention", "sliding_attention"]
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}

# Configs with a window of 32, and the windows of their layers.
WINDOWED = {
    "gemma3": (lambda: t.Gemma3TextConfig(**SIZE, head_dim=16, layer_types=_MIXED, sliding_window=WINDOW), (1, 0, 1)),
    "mistral": (lambda: t.MistralConfig(**SIZE, head_dim=12, sliding_window=WINDOW), (1, 1, 1)),
    "qwen2": (
        lambda: t.Qwen2Config(**SIZE, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
        (0, 1, 1),
    ),
    # These two write it into their masks and nowhere else.
    "qwen2-moe": (
        lambda: t.Qwen2MoeConfig(
            **SIZE, **_EXPERTS, shared_expert_intermediate_size=32, use_sliding_window=True,
            sliding_window=WINDOW, layer_types=_MIXED,
        ),
        (1, 0, 1),
    ),
    "phimoe": (lambda: t.PhimoeConfig(**SIZE, num_local_experts=4, sliding_window=WINDOW), (1, 1, 1)),
    # Takes a view of what attention returns.
    "afmoe": (
        lambda: t.AfmoeConfig(
            **SIZE, **_EXPERTS, head_dim=16, num_dense_layers=1, num_shared_experts=1, sliding_window=WINDOW,
            layer_types=_MIXED,
        ),
        (1, 0, 1),
    ),
    "olmo3": (lambda: t.Olmo3Config(**SIZE, sliding_window=WINDOW, layer_types=_MIXED), (1, 0, 1)),
    "cohere2": (lambda: t.Cohere2Config(**SIZE, sliding_window=WINDOW, layer_types=_MIXED), (1, 0, 1)),
}  # fmt: skip

UNLIMITED = {
    "switched off": lambda: t.Qwen2MoeConfig(**SIZE, **_EXPERTS, shared_expert_intermediate_size=32),
    "left over": lambda: t.LlamaConfig(**SIZE, sliding_window=WINDOW),  # Llama makes no windows
    "not announced": lambda: t.LlamaConfig(**SIZE),
}

REFUSED = {
    "chunked_attention, attention_chunk_size=32": lambda: t.Llama4TextConfig(
        **SIZE, head_dim=16, num_local_experts=2, intermediate_size_mlp=64, attention_chunk_size=32
    ),
    "attention sinks": lambda: t.GptOssConfig(
        **SIZE, head_dim=16, num_local_experts=4, sliding_window=WINDOW
    ),
    "a mask or bias of its own": lambda: t.DogeConfig(**SIZE, sliding_window=WINDOW),
    # Hands its attention a window, and makes full masks.
    "handed a sliding window of 32": lambda: t.OlmoeConfig(
        **SIZE, num_experts=4, num_experts_per_tok=2, sliding_window=WINDOW
    ),
}


def model(make: Any) -> Any:
    return randomized(make())


def runner(lm: Any, backend: str = "cpu") -> ModelRunner:
    return ModelRunner(lm, attention_backend(backend), slots=1024)


def long_problem(seed: int) -> Segments:
    """Prompts of 150 tokens; some candidates are longer than the window."""
    rng = np.random.default_rng(seed)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(rng.integers(3, VOCAB, size=length).tolist())

    identifiers = tuple(rng.choice(np.arange(3, VOCAB), size=5, replace=False).tolist())
    return Segments(ids(40), tuple(ids(length) for length in (9, 40, 3, 33, 20)), ids(5), identifiers)


@pytest.mark.parametrize("name", WINDOWED)
def test_each_layers_window_is_found_and_the_config_left_alone(name):
    make, expected = WINDOWED[name]
    lm = model(make)
    assert layer_windows(lm) == tuple(WINDOW if windowed else None for windowed in expected)
    assert lm.config.sliding_window == WINDOW


@pytest.mark.parametrize("name", UNLIMITED)
def test_what_the_masks_do_not_limit_has_no_window(name):
    lm = model(UNLIMITED[name])
    assert layer_windows(lm) == (None, None, None)
    assert self_check(lm, runner(lm), "causal") < 1e-4


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", WINDOWED)
def test_prompts_longer_than_the_window_equal_the_models_own_forward(name, backend):
    lm = model(WINDOWED[name][0])
    run = runner(lm, backend)
    for seed in range(2):
        segments = long_problem(seed)
        session = QUERY_STATES["causal"](segments, "exclude", run.kv_cache, IdentifierReadout(lm))
        assert session.open()
        for subsets in [[(0, 1, 2, 3, 4)], [(0, 1, 3, 4), (0, 1, 3)], [(4, 1)]]:
            for subset, found in zip(subsets, one_step(run, lm, session, subsets), strict=True):
                close(found, fresh_causal_logits(lm, segments, subset))
        session.close()


@pytest.mark.parametrize("attention", QUERY_STATES)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", WINDOWED)
def test_the_check_accepts_them_and_leaves_their_windows(name, backend, attention):
    lm = model(WINDOWED[name][0])
    run = runner(lm, backend)
    windows = run.windows
    assert self_check(lm, run, attention) < 1e-4
    assert layer_windows(lm) == windows


@pytest.mark.parametrize("attention", QUERY_STATES)
@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_reproduced_is_refused_by_name(reason, attention):
    lm = model(REFUSED[reason])
    with pytest.raises(UnsupportedModelError, match=reason):
        self_check(lm, runner(lm), attention)


@pytest.mark.parametrize("attention", QUERY_STATES)
def test_the_check_outgrows_windows_wider_than_its_prompt(monkeypatch, attention):
    """Prompts of 18 tokens, a window of 32: an engine that ignores windows is found out all the same."""
    lm = model(WINDOWED["gemma3"][0])
    monkeypatch.setattr(step, "cut_chunks", lambda plan, window: np.zeros(plan.chunks, dtype=bool))
    with pytest.raises(UnsupportedModelError, match="beyond its sliding windows"):
        self_check(lm, runner(lm), attention)


def test_limits_come_back_when_something_fails():
    lm = model(WINDOWED["mistral"][0])
    ids = torch.full((1, 4), VOCAB)  # no such token
    with pytest.raises(IndexError), limited(lm, 3):
        lm(input_ids=ids)
    assert lm.config.sliding_window == WINDOW


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_windows_are_checked_in_half_precision(dtype):
    lm = model(WINDOWED["gemma3"][0]).to(dtype)
    assert self_check(lm, runner(lm), "block") < 0.1
