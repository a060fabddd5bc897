"""Kept keys: the whole list encoded once causally, survivors seen where they stand."""

from __future__ import annotations

import pytest
import torch

from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.sessions import KeptQueryState
from rranker.methods import Elimination, Greedy, Selection
from tests.support.architectures import CONFIGS, tiny_model
from tests.support.engine_steps import close, fresh_causal_logits, model_runner, one_step, problem


def kept_logits(lm, segments, subset, window=None):
    """By transformers alone: the whole list in one dense mask, of which the question sees the prefix and `subset`."""
    pieces = [segments.prefix, *segments.candidates, segments.suffix]
    ids = torch.tensor([[token for piece in pieces for token in piece]])
    owner = torch.repeat_interleave(torch.arange(len(pieces)), torch.tensor([len(piece) for piece in pieces]))
    last = len(pieces) - 1
    shown = torch.tensor([0, *(place + 1 for place in subset), last])
    sees = torch.ones(len(owner), len(owner)).tril().bool()
    sees &= (owner[:, None] != last) | torch.isin(owner, shown)[None]
    if window is not None:
        distance = torch.arange(len(owner))[:, None] - torch.arange(len(owner))[None]
        sees &= distance < window
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    bias = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[None, None]
    with torch.no_grad():
        logits = lm(input_ids=ids, attention_mask=bias, use_cache=False).logits[0, -1]
    lm.set_attn_implementation(before)
    return logits[[segments.identifiers[place] for place in subset]].numpy()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_round_equals_a_dense_mask_over_the_whole_list(name, backend):
    lm = tiny_model(name)
    runner = model_runner(lm, backend)
    for seed in range(2):
        segments = problem(seed)
        state = KeptQueryState(segments, "exclude", runner.kv_cache, IdentifierReadout(lm))
        assert state.open()
        first = (0, 1, 2, 3, 4, 5)
        (found,) = one_step(runner, lm, state, [first])
        close(found, fresh_causal_logits(lm, segments, first))  # nobody has left yet
        subsets = [(0, 1, 2, 4, 5), (1, 5), (2,), (0, 3)]
        for subset, row in zip(subsets, one_step(runner, lm, state, subsets), strict=True):
            close(row, kept_logits(lm, segments, subset))
        state.close()


def test_windows_are_measured_over_the_gaps():
    lm = tiny_model("mistral", sliding_window=8)
    runner = model_runner(lm)
    segments = problem(0)
    state = KeptQueryState(segments, "exclude", runner.kv_cache, IdentifierReadout(lm))
    assert state.open()
    for subset in [(0, 1, 2, 3, 4, 5), (0, 2, 3, 5)]:
        (row,) = one_step(runner, lm, state, [subset])
        close(row, kept_logits(lm, segments, subset, window=8))


@pytest.mark.parametrize("method", [Elimination, Selection])
def test_guessing_changes_nothing_and_all_is_encoded_once(method):
    lm = tiny_model("llama")
    outcomes = []
    for speculate in (False, True):
        engine = Engine(
            lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=4096, speculate=speculate
        )
        orders = []
        for segments in [problem(seed, n=8) for seed in range(6)]:
            player = Greedy(method(8))
            (handle,) = engine.run([EngineRequest(segments, player, reuse="keep")])
            orders.append(player.outcome().order)
            once, suffix = len(segments.prefix) + sum(map(len, segments.candidates)), len(segments.suffix)
            overhead = engine.runner.overhead
            sequential = once + 7 * (overhead + suffix)
            questions, rest = divmod(handle.tokens_encoded - once, suffix)
            assert rest == 0
            assert questions == 7 if not speculate else questions >= 7
            assert handle.tokens_encoded + handle.passes * overhead <= 1.05 * sequential
        outcomes.append(orders)
    assert outcomes[0] == outcomes[1]
