"""What is written behind a prompt, by transformers alone: one whole forward a token, no key kept."""

from __future__ import annotations

from dataclasses import replace

import torch

from rranker.engine.self_check import dense_prompt
from tests.support.engine_steps import dense_logits


def generated(lm, prompt, most, end_of_turn=()):
    """transformers' own `generate`, greedy; the token that ends the turn is left out."""
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    out = lm.generate(
        torch.tensor([list(prompt)]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=list(end_of_turn) or None,
        pad_token_id=0,
    )
    lm.set_attn_implementation(before)
    tokens = out[0, len(prompt) :].tolist()
    return tokens[:-1] if tokens and tokens[-1] in end_of_turn else tokens


def next_token(lm, segments, subset, attention):
    """The most probable one behind a prompt about `subset`, by a dense mask."""
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    ids, positions, mask = dense_prompt(segments, subset, attention)
    bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None]
    with torch.no_grad():
        out = lm(input_ids=ids[None], position_ids=positions[None], attention_mask=bias, use_cache=False)
    lm.set_attn_implementation(before)
    return int(out.logits[0, -1].argmax())


def thought_through(lm, segments, subset, attention, thought):
    """(thought, identifier logits behind it) of one round: a greedy loop over whole prompts."""
    (stretch,) = thought.writing.stretches
    tokens, behind = [], stretch.cut

    def prompt(*more):
        return replace(segments, suffix=(*segments.suffix, *tokens, *more))

    while len(tokens) < stretch.most:
        token = next_token(lm, prompt(), subset, attention)
        if token in thought.writing.end_of_turn:
            break
        tokens.append(token)
        if stretch.ended is not None and stretch.ended(tokens):
            behind = stretch.closed
            break
    return tokens, dense_logits(lm, prompt(*behind), subset, attention)
