"""Candidates named by one token each: the model's own head, without ever touching the full vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rranker.kernels.logprob import selected_logprobs

from ...prompts.segments import Kind
from ..batch import Ints
from ..encoders import is_encoder
from ..errors import UnsupportedModelError
from .late_interaction import Matches
from .pointer import Pooling

_ROWS = 64  # whose logits over the whole vocabulary are held at a time, where they are capped


class ReadsIdentifiers:
    """What a session must know of a readout that reads no candidate's own state (see `Readout`)."""

    needs_states = False
    matches: Matches | None = None
    pooling: Pooling = "last"


class IdentifierReadout(ReadsIdentifiers):
    """The language model's own head, at the rows of the candidates' identifier tokens.

    weight: [V, D]; logits are multiplied by `scale`, then soft-capped to `cap` (None: they are not).
    """

    def __init__(self, lm: Any) -> None:
        if is_encoder(lm.config):
            raise UnsupportedModelError(
                f"{type(lm).__name__} is an encoder, which ranks through a pointer head and has none here: "
                "`python -m rranker.training.sft.from_encoder FOLDER OUT` makes a checkpoint with one"
            )
        head = lm.get_output_embeddings()
        if head is None:
            raise UnsupportedModelError(
                f"{type(lm).__name__} has no language-model head to read identifiers from"
            )
        _check_plain(head, lm)
        self.weight: Tensor = head.weight
        self.scale = logit_scale(lm.config)
        # The Gemmas cap: the same word as in their config.json.
        self.cap: float | None = getattr(lm.config, "final_logit_softcapping", None)

    def vectors(self, identifiers: Sequence[int] | Ints | Tensor) -> Tensor:
        """[identifiers, D] rows of the language-model head, fp32. A tensor [identifiers] is on its device already."""
        index = torch.as_tensor(identifiers, dtype=torch.long, device=self.weight.device)
        return self.weight.index_select(0, index).float()

    def logits(
        self,
        suffixes: Tensor,
        candidates: Tensor,
        kind: Kind,
        prefix: Tensor | None = None,
        matched: Tensor | None = None,
    ) -> Tensor:
        """suffixes [S, D] by candidates [N, D] → logits [S, N], scaled and capped as the model's own are."""
        found = suffixes.float() @ candidates.T * self.scale
        return found if self.cap is None else torch.tanh(found / self.cap) * self.cap

    def vocabulary(self, states: Tensor) -> Tensor:
        """states [N, D] → logits [N, V] of the next token, fp32, scaled and capped as the model's own are."""
        found = torch.nn.functional.linear(states, self.weight).float() * self.scale
        return found if self.cap is None else torch.tanh(found / self.cap) * self.cap

    def logprobs(self, states: Tensor, targets: Tensor) -> Tensor:
        """states [N, D] hidden states; targets [N] tokens → [N] log-probabilities of them as the next token, fp32."""
        if self.cap is None:
            return selected_logprobs(states, self.weight, targets, scale=self.scale)[0]
        weight, found = self.weight.float(), list[Tensor]()
        for rows, wanted in zip(torch.split(states.float(), _ROWS), torch.split(targets, _ROWS), strict=True):
            logits = torch.tanh(rows @ weight.T * self.scale / self.cap) * self.cap
            found.append(logits.log_softmax(-1).gather(1, wanted[:, None])[:, 0])
        return torch.cat(found)


def _check_plain(head: Any, lm: Any) -> None:
    """Raises UnsupportedModelError unless `head` computes a product with its weight [vocabulary, D], no more.

    By its type, exactly: a subclass (adapters, quantised or parametrised weights) may do anything with the weight.
    """
    name = type(lm).__name__
    hooked = bool(head._forward_hooks or head._forward_pre_hooks)  # noqa: SLF001 (torch has no public way to ask)
    if type(head) is not nn.Linear or hooked:
        kind = f"a {type(head).__name__}" + (" with hooks" if type(head) is nn.Linear else "")
        raise UnsupportedModelError(
            f"{name}'s language-model head is {kind}, and identifiers are read through a plain nn.Linear: merge "
            "adapters, load unquantised weights, or train a pointer head"
        )
    if head.bias is not None:
        raise UnsupportedModelError(f"{name}'s language-model head has a bias; only plain heads are read")
    weight, vocabulary = head.weight, int(lm.config.vocab_size)
    if weight.ndim != 2 or len(weight) < vocabulary or not weight.is_floating_point():
        raise UnsupportedModelError(
            f"{name}'s language-model head has weights of shape {tuple(weight.shape)} and type {weight.dtype}, not a "
            f"row of numbers for each of {vocabulary} tokens"
        )


def logit_scale(config: Any) -> float:
    """What a model multiplies its logits by. Granite divides, Cohere multiplies: the words of their config.json."""
    by, over = getattr(config, "logit_scale", None), getattr(config, "logits_scaling", None)
    return float(by or 1.0) / float(over or 1.0)
