"""Log-probabilities and entropies of generated tokens from hidden states and the head: logits are never held."""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from rranker.engine.readout import logit_scale
from rranker.kernels.logprob import selected_logprobs
from rranker.training.policy.shared_prompts import SharedPrompts, share, states_after, use_shared_prompts

# What some architectures do to logits beside `logit_scale` and `logits_scaling`.
_OTHERS = ("final_logit_softcapping", "output_multiplier", "lm_head_multiplier")


def plain_head(lm: Any) -> bool:
    """Whether the logits of `lm` are its hidden states times a matrix of its own, times a number we know."""
    head, config = lm.get_output_embeddings(), lm.config.get_text_config()
    changed = any(getattr(config, name, None) is not None for name in _OTHERS)
    # HyperCLOVA X multiplies by what others of that name divide by.
    return (
        type(head) is nn.Linear and head.bias is None and not changed and config.model_type != "hyperclovax"
    )


def answer_scored(lm: Any, temperature: float, *, shared: bool) -> None:
    """Gives `lm.forward` the keyword `scored`. It must be the forward: DDP and PEFT call nothing else.

    With `scored` = k it returns log-probabilities and entropies (nats) of the last k tokens, each [B, k] in fp32,
    at this temperature; both are 0 where `attention_mask` is. `lm` must have a `plain_head`. `shared`: equal prompts
    are encoded once, which the engine must be able to do with `lm`.
    """
    original = lm.forward
    if shared:
        use_shared_prompts(lm)

    @wraps(original)  # `generate` looks at the signature
    def forward(*inputs: Any, scored: int | None = None, **keywords: Any) -> Any:
        if scored is None:
            return original(*inputs, **keywords)
        ids, mask = keywords["input_ids"], keywords["attention_mask"]
        return _scores(lm, ids, mask, scored, temperature, share(ids, mask, scored) if shared else None)

    lm.forward = forward


def _scores(
    lm: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    scored: int,
    temperature: float,
    shared: SharedPrompts | None,
) -> tuple[Tensor, Tensor]:
    real, weight = attention_mask[:, -scored:].bool(), lm.get_output_embeddings().weight
    if shared is None:
        hidden = lm.base_model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        states = hidden.last_hidden_state[:, -scored - 1 : -1][real]
    else:
        states = states_after(lm, shared)
    kind = states.device.type
    # The head multiplies in the dtype in which the model's own would.
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    with torch.autocast(kind, enabled=False):
        logprobs = selected_logprobs(
            states.to(dtype),
            weight.to(dtype),
            input_ids[:, -scored:][real],
            scale=logit_scale(lm.config.get_text_config()) / temperature,
        )
    # Scattered, so that a batch without a single real token still has gradients: zeros.
    logps, entropies = (x.new_zeros(real.shape).masked_scatter(real, x) for x in logprobs)
    return logps, entropies
