"""What others do round after round, over a plain transformers model: how much each scheme encodes, and how long.

Each scheme turns the order in which candidates go into one `Work` a round: tokens found in the cache, tokens
encoded. A round's time depends on these two numbers alone, so it is measured on a cache filled with noise. An encoder
has no cache: it reads texts of `TEXT` tokens each, and only the schemes that encode everything are open to it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rranker.engine.encoders import is_encoder
from rranker.prompts import Segments

TEXT = 100
"""Tokens of what an encoder reads at a time: a candidate of `bench.elimination`."""


@dataclass(frozen=True, order=True)
class Work:
    """Tokens one round encodes, over those it finds in the cache."""

    fresh: int
    cached: int = 0


def whole_prompts(segments: Segments, gone: Sequence[int]) -> list[Work]:
    """The whole prompt, every round."""
    return [Work(len(segments.prefix) + tail) for tail in _tails(segments, gone)]


def prefix_reuse(segments: Segments, gone: Sequence[int]) -> list[Work]:
    """The prefix stays in the cache; candidates and question are encoded every round."""
    prefix = len(segments.prefix)
    return [Work(prefix), *(Work(tail, prefix) for tail in _tails(segments, gone))]


def longest_common_prefix(segments: Segments, gone: Sequence[int]) -> list[Work]:
    """What automatic prefix caching gives: all is kept up to the place of the candidate that went."""
    prefix, suffix = len(segments.prefix), len(segments.suffix)
    alive = list(range(len(segments.candidates)))
    rounds, kept = list[Work](), 0
    for loser in gone:
        lengths = [len(segments.candidates[place]) for place in alive]
        total = prefix + sum(lengths) + suffix
        rounds.append(Work(total - kept, kept))
        kept = prefix + sum(lengths[: alive.index(loser)])
        alive.remove(loser)
    return rounds


def one_pass(segments: Segments, gone: Sequence[int]) -> list[Work]:
    """A single plain forward over the full prompt: what no ranking can do without."""
    return whole_prompts(segments, gone)[:1]


SCHEMES = {
    "one plain forward": one_pass,
    "naive loop": whole_prompts,
    "prefix reuse": prefix_reuse,
    "longest common prefix": longest_common_prefix,
}


def open_to(lm: Any) -> list[str]:
    """The schemes that `lm` can follow."""
    return list(SCHEMES)[:2] if is_encoder(lm.config) else list(SCHEMES)


def _tails(segments: Segments, gone: Sequence[int]) -> list[int]:
    lengths = [len(ids) for ids in segments.candidates]
    left = sum(lengths)
    tails = []
    for loser in gone:
        tails.append(left + len(segments.suffix))
        left -= lengths[loser]
    return tails


def seconds(lm: Any, rounds: Sequence[Work], samples: int = 5) -> float:
    """Wall time of all rounds: measured, or (more than `samples`) summed from rounds sampled by size."""
    ordered = sorted(rounds)
    picked = np.unique(np.linspace(0, len(ordered) - 1, min(samples, len(ordered))).round().astype(int))
    measured = [forward(lm, ordered[place]) for place in picked]
    return float(np.interp(np.arange(len(ordered)), picked, measured).sum())


@torch.inference_mode()
def forward(lm: Any, work: Work) -> float:
    """One transformers forward with its own cache and SDPA, the last token's logits only, as `generate` asks."""
    from transformers import DynamicCache

    config = lm.config
    if is_encoder(config):
        texts = torch.arange(work.fresh // TEXT * TEXT).view(-1, TEXT) % config.vocab_size
        began = time.perf_counter()
        lm(input_ids=texts)
        return time.perf_counter() - began
    ids = torch.arange(work.fresh)[None] % config.vocab_size
    cache = DynamicCache(config=config)
    if work.cached:
        size = (1, config.num_key_value_heads, work.cached, config.hidden_size // config.num_attention_heads)
        for layer in range(config.num_hidden_layers):
            cache.update(torch.randn(size, dtype=lm.dtype), torch.randn(size, dtype=lm.dtype), layer)
    began = time.perf_counter()
    lm(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return time.perf_counter() - began
