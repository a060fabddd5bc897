"""Texts of one forward that continue the same prompts: each prompt is encoded once, however many continue it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from rranker.engine.batch import BatchBuilder, Segment
from rranker.training.packing.chunks import Chunks, build_chunks
from rranker.training.policy.network import attend

NAME = "rranker_texts"
_SAVES = 0.25
"""The share of tokens that sharing must save: attention in pieces costs a little more a token."""
_MOST_SCORES = 1 << 24
"""Query-key pairs of a text with its prompt, for a head: beyond, what sharing holds of attention is too much."""


@dataclass(frozen=True)
class SharedPrompts:
    """Distinct prompts and the texts behind them, in one row. `rows[i]`: whose state the i-th counted token follows."""

    ids: Tensor  # [T]
    positions: Tensor  # [T]
    chunks: Chunks
    rows: Tensor  # [tokens that count]


def share(input_ids: Tensor, attention_mask: Tensor, scored: int) -> SharedPrompts | None:
    """[B, P + scored]: prompts, padded on the left, and texts, padded on the right.

    None where sharing them would save too little.
    """
    kept = attention_mask.bool().tolist()
    rows = [
        [t for t, real in zip(*row, strict=True) if real]
        for row in zip(input_ids.tolist(), kept, strict=True)
    ]
    sizes = attention_mask[:, -scored:].sum(1).tolist()
    split = [
        (tuple(row[: len(row) - size]), row[len(row) - size :]) for row, size in zip(rows, sizes, strict=True)
    ]
    texts: dict[tuple[int, ...], list[int]] = {}
    for place, (prompt, _) in enumerate(split):
        texts.setdefault(prompt, []).append(place)
    whole = sum(map(len, rows))
    saved = sum(len(prompt) * (len(places) - 1) for prompt, places in texts.items())
    if saved < _SAVES * whole or any(
        len(row) * len(text) > _MOST_SCORES for row, (_, text) in zip(rows, split, strict=True)
    ):
        return None
    builder, slot = BatchBuilder(), 0
    follows: list[list[int]] = [[] for _ in split]
    for query_index, (prompt, places) in enumerate(texts.items()):
        tokens, nothing = np.asarray(prompt, np.int64), np.zeros(0, np.int64)
        last = builder.chunk(tokens, 0, nothing, query_index, slot) + len(prompt) - 1
        visible = np.asarray([builder.segment(Segment(slot, len(prompt), 0))], np.int64)
        slot += len(prompt)
        for place in places:
            text = split[place][1]
            if text:
                follows[place] = [last]
            if len(text) > 1:  # nothing follows its last token
                first = builder.chunk(np.asarray(text[:-1], np.int64), len(prompt), visible, query_index)
                follows[place] += range(first, first + len(text) - 1)
    plan, device = builder.build(), input_ids.device
    return SharedPrompts(
        torch.from_numpy(plan.token_ids).to(device),
        torch.from_numpy(plan.positions).to(device),
        build_chunks(plan, device),
        torch.tensor([row for each in follows for row in each], dtype=torch.long, device=device),
    )


def use_shared_prompts(lm: Any) -> None:
    """Lets `lm` attend as `SharedPrompts` say where it is given them, and as PyTorch's own attention does elsewhere."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    lm.set_attn_implementation(NAME)


def states_after(lm: Any, shared: SharedPrompts) -> Tensor:
    """[tokens that count, D]: of each, the final hidden state that its probability is read from, with gradients."""
    hidden: Tensor = lm.base_model(
        input_ids=shared.ids[None],
        position_ids=shared.positions[None],
        # A mask of four dimensions is taken as it is, and this attention does not look at it: none of [T, T] is made.
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=shared.ids.device),
        use_cache=False,
        chunks=shared.chunks,
    ).last_hidden_state[0]
    return hidden[shared.rows]
