"""One step of the engine on a random prompt, and what transformers alone says to it."""

from __future__ import annotations

import numpy as np
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.batch import BatchBuilder
from rranker.engine.readout import IdentifierReadout
from rranker.engine.readout.gather import read
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import dense_prompt
from rranker.engine.sessions import BlockQueryState, CausalQueryState
from rranker.prompts import Segments
from tests.support.architectures import VOCAB

QUERY_STATES = {"block": BlockQueryState, "causal": CausalQueryState}


TOLERANCE = 1e-5  # of the largest logit


def problem(seed, n=6, longest=9, prefix=11, suffix=3):
    rng = np.random.default_rng(seed)

    def ids(length):
        return tuple(rng.integers(3, VOCAB, size=length).tolist())

    identifiers = tuple(rng.choice(np.arange(3, VOCAB), size=n, replace=False).tolist())
    return Segments(
        ids(prefix), tuple(ids(rng.integers(1, longest)) for _ in range(n)), ids(suffix), identifiers
    )


def dense_logits(lm, segments, subset, attention):
    """Identifier logits by transformers alone: eager attention, the whole prompt, the full vocabulary."""
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    ids, positions, mask = dense_prompt(segments, subset, attention)
    bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None]
    with torch.no_grad():
        ids, positions, bias = (x.to(lm.device) for x in (ids[None], positions[None], bias))
        out = lm(input_ids=ids, position_ids=positions, attention_mask=bias, use_cache=False)
    lm.set_attn_implementation(before)
    return out.logits[0, -1, [segments.identifiers[place] for place in subset]].cpu().numpy()


def fresh_causal_logits(lm, segments, subset):
    """The same by a plain forward, no mask of ours at all."""
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    ids, _, _ = dense_prompt(segments, subset, "causal")
    with torch.no_grad():
        out = lm(input_ids=ids[None].to(lm.device), use_cache=False)
    lm.set_attn_implementation(before)
    return out.logits[0, -1, [segments.identifiers[place] for place in subset]].cpu().numpy()


def model_runner(lm, backend="cpu", slots=4096):
    return ModelRunner(lm, attention_backend(backend), slots)


def one_step(runner, lm, session, subsets):
    builder = BatchBuilder()
    session.plan(builder, 0, subsets)
    hidden = runner.hidden(builder.build())
    return read(IdentifierReadout(lm), hidden, [session.readout_request(hidden)], kernels=runner.kernels)[0]


def opened(runner, lm, segments, attention):
    session = QUERY_STATES[attention](segments, "exclude", runner.kv_cache, IdentifierReadout(lm))
    assert session.open()
    return session


def close(found, expected):
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * scale, rtol=0)


def subsets_of(rng, n, count):
    """Any candidates in any order, some of them beginnings of others."""
    subsets = [tuple(rng.permutation(n)[: rng.integers(1, n + 1)].tolist()) for _ in range(count)]
    return [
        subset[: rng.integers(1, len(subset) + 1)] if rng.random() < 0.3 else subset
        for subset in (*subsets, *subsets)
    ]
