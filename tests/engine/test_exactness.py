"""The engine against whole forwards under dense masks, for every architecture, in fp32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.self_check import dense_prompt, self_check
from rranker.methods import Elimination, Greedy
from rranker.prompts import Segments
from tests.support.architectures import CONFIGS, tiny_model
from tests.support.engine_steps import (
    QUERY_STATES,
    close,
    dense_logits,
    fresh_causal_logits,
    model_runner,
    one_step,
    opened,
    problem,
)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", CONFIGS)
class TestArchitectures:
    def test_block_equals_dense_mask(self, name, backend):
        lm = tiny_model(name)
        runner = model_runner(lm, backend)
        for seed in range(3):
            segments = problem(seed)
            session = opened(runner, lm, segments, "block")
            first = (0, 1, 2, 3, 4, 5)
            close(one_step(runner, lm, session, [first])[0], dense_logits(lm, segments, first, "block"))
            subsets = [(0, 1, 2, 4, 5), (1, 5), (2,), (0, 3)]  # any subsets, at once
            for subset, found in zip(subsets, one_step(runner, lm, session, subsets), strict=True):
                close(found, dense_logits(lm, segments, subset, "block"))
            session.close()

    def test_causal_equals_fresh_forward(self, name, backend):
        lm = tiny_model(name)
        runner = model_runner(lm, backend)
        for seed in range(3):
            segments = problem(seed)
            session = opened(runner, lm, segments, "causal")
            steps = [
                [(0, 1, 2, 3, 4, 5)],
                [(0, 1, 3, 4, 5), (0, 1, 3, 4), (0, 1, 3)],  # a loser in the middle, then nested guesses
                [(0, 1, 4, 3), (0, 1, 4)],  # another tail
                [(1, 0)],
            ]
            for subsets in steps:
                for subset, found in zip(subsets, one_step(runner, lm, session, subsets), strict=True):
                    close(found, fresh_causal_logits(lm, segments, subset))
            session.close()


@pytest.mark.parametrize("attention", QUERY_STATES)
@pytest.mark.parametrize("name", ["qwen2", "mixtral"])
def test_sliding_windows_follow_positions(name, attention):
    lm = tiny_model("mistral" if name == "qwen2" else name, sliding_window=8)
    runner = model_runner(lm)
    segments = problem(0)
    session = opened(runner, lm, segments, attention)
    for subset in [(0, 1, 2, 3, 4, 5), (0, 2, 3, 5)]:
        ids, positions, mask = dense_prompt(segments, subset, attention)
        mask &= positions[:, None] - positions[None] < 8
        lm.set_attn_implementation("eager")
        bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None]
        with torch.no_grad():
            out = lm(input_ids=ids[None], position_ids=positions[None], attention_mask=bias, use_cache=False)
        expected = out.logits[0, -1, [segments.identifiers[place] for place in subset]].numpy()
        lm.set_attn_implementation("rranker")
        close(one_step(runner, lm, session, [subset])[0], expected)


def reference_outcome(lm, segments, attention, order):
    """The plain loop: a whole forward a round. Also the smallest gap between a loser and the runner-up."""
    n, gap = len(segments.candidates), np.inf
    episode = Greedy(Elimination(n), relayout=order, nested=attention == "causal")
    while episode.remaining:
        subset = episode.subsets(1)[0]
        logits = dense_logits(lm, segments, subset, attention)
        top = np.sort(logits)
        gap = min(gap, top[-1] - top[-2])
        episode.observe([subset], [logits])
    return episode.outcome(), gap


def through(lm, many, attention, order, speculate):
    engine = Engine(
        lm,
        IdentifierReadout(lm),
        attention_mode=attention,
        kv_cache_tokens=2048,
        max_batch_tokens=256,
        speculate=speculate,
    )
    methods = [
        Greedy(Elimination(len(s.candidates)), relayout=order, nested=attention == "causal") for s in many
    ]
    handles = list(engine.run(EngineRequest(*pair) for pair in zip(many, methods, strict=True)))
    assert [handle.status for handle in handles] == ["finished"] * len(many)
    assert engine.runner.kv_cache.allocator.free == 2048
    return [method.outcome() for method in methods], handles


@pytest.mark.parametrize(
    ("attention", "order"), [("block", "keep"), ("causal", "keep"), ("causal", "best_first")]
)
def test_speculative_equals_sequential_equals_the_reference_and_batched_equals_alone(attention, order):
    lm = tiny_model("qwen3")
    many = [
        problem(seed, n=int(n)) for seed, n in enumerate(np.random.default_rng(0).integers(2, 12, size=12))
    ]
    reference = [reference_outcome(lm, segments, attention, order) for segments in many]
    clear = [k for k, (_, gap) in enumerate(reference) if gap > 1e-4]
    assert len(clear) >= 9
    speculative, handles = through(lm, many, attention, order, speculate=True)
    sequential, _ = through(lm, many, attention, order, speculate=False)
    alone = [through(lm, [segments], attention, order, speculate=True)[0][0] for segments in many]
    for k in clear:
        assert speculative[k].order == sequential[k].order == alone[k].order == reference[k][0].order
        close(np.array(speculative[k].kept), np.array(reference[k][0].kept))
    assert sum(handle.speculation.hits for handle in handles) > 0  # something was guessed
    assert sum(handle.speculation.misses for handle in handles) > 0  # and something guessed wrong


def test_added_then_dropped_equals_never_added():
    lm = tiny_model("llama")
    runner = model_runner(lm)
    full = problem(4)
    kept = (0, 2, 5)
    without = Segments(
        full.prefix,
        tuple(full.candidates[i] for i in kept),
        full.suffix,
        tuple(full.identifiers[i] for i in kept),
    )
    for attention in QUERY_STATES:
        if attention == "block" and max(map(len, without.candidates)) != max(map(len, full.candidates)):
            without = Segments(
                without.prefix,
                (*without.candidates[:2], full.candidates[5]),
                without.suffix,
                without.identifiers,
            )
        session = opened(runner, lm, full, attention)
        one_step(runner, lm, session, [tuple(range(6))])
        dropped = one_step(runner, lm, session, [kept])[0]
        session.close()
        expected = (
            fresh_causal_logits(lm, without, (0, 1, 2))
            if attention == "causal"
            else dense_logits(lm, full, kept, "block")
        )
        close(dropped, expected)


@pytest.mark.parametrize("attention", QUERY_STATES)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_check_accepts_what_is_exact(name, attention):
    lm = tiny_model(name)
    assert self_check(lm, model_runner(lm), attention) < 1e-4
