"""A ranking policy to train: a causal language model, its readout, and a forward that answers packed questions."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AttentionInterface, GenerationConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from rranker.engine.attention.transformers_hook import attend as engine_attention
from rranker.engine.encoders import is_encoder, position_offset
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.item_factors import save_item_factors
from rranker.engine.loading.pointer_head import HEAD_FILE, load_head
from rranker.engine.loading.settings import ModelSettings
from rranker.engine.readout import IdentifierReadout, PointerReadout, Readout
from rranker.item_factors import ItemFactors
from rranker.prompts.segments import POINTWISE, Kind
from rranker.training.packing.attention import packed_attention
from rranker.training.packing.chunks import chunk_attention
from rranker.training.packing.layout import Layout
from rranker.training.packing.questions import Packed
from rranker.training.policy.ranking_model import PointerHead

NAME = "rranker_policy"
HEAD = "pointer_head"
"""The attribute of the language model that holds the head, so that one module has all parameters."""


@dataclass(frozen=True)
class Policy:
    """`lm` answers `lm(packed=...)` with one [S, n] tensor of naming logits a question.

    `item_factors` are its checkpoint's.
    """

    lm: Any
    tokenizer: Any
    settings: ModelSettings
    context: int | None
    item_factors: ItemFactors | None = None

    @property
    def readout(self) -> Readout:
        """Of the present weights."""
        return readout_of(self.lm)


def load_policy(model: str | Path, dtype: torch.dtype = torch.float32) -> Policy:
    """From a checkpoint, read and checked as the engine does, with weights that can be trained.

    Raises what `read_checkpoint` raises, ValueError for a pointer head that cannot be trained by reward.
    """
    checkpoint = read_checkpoint(model, dtype)
    lm, settings = checkpoint.lm, checkpoint.settings
    if settings.readout == "pointer":
        if settings.attention != "block":
            raise ValueError(
                "a pointer head is trained by reward in block attention only: give a checkpoint of that mode"
            )
        weights = load_head(checkpoint.folder, lm.config.hidden_size, settings.pooling)
        lm.add_module(HEAD, PointerHead.of(weights, settings.pooling))
    if is_encoder(lm.config):
        lm.generation_config = GenerationConfig()  # TRL looks at it, whatever is trained
    for module in lm.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # a decision is re-scored by the very policy that took it
    answer_packed(lm)
    return Policy(lm, checkpoint.tokenizer, settings, checkpoint.context, checkpoint.item_factors)


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **rest: Any
) -> Any:
    """transformers' attention function: the engine's in rollouts, a packed one in re-scoring, else SDPA."""
    if rest.get("rranker_step") is not None:
        return engine_attention(module, query, key, value, mask, **rest)
    if rest.get("layout") is not None:
        return packed_attention(module, query, key, value, mask, **rest)
    if rest.get("chunks") is not None:
        return chunk_attention(module, query, key, value, mask, **rest)
    return sdpa_attention_forward(module, query, key, value, mask, **rest)


def use_policy_attention(lm: Any) -> None:
    """Lets every layer of `lm` attend as the packed batch says."""
    AttentionInterface.register(NAME, attend)
    lm.set_attn_implementation(NAME)


def answer_packed(lm: Any) -> None:
    """Gives `lm.forward` the keyword `packed`. It must be the forward: DDP and FSDP hook into nothing else."""
    original = lm.forward

    def forward(*inputs: Any, packed: Packed | None = None, **keywords: Any) -> Any:
        return original(*inputs, **keywords) if packed is None else answers(lm, packed)

    lm.forward = forward
    use_policy_attention(lm)


def answers(lm: Any, packed: Packed) -> list[Tensor]:
    """Naming logits [S, n], fp32, for each question of the pack, with gradients; of pointwise kinds see `alone`."""
    hidden = lm.base_model(
        input_ids=packed.ids[None],
        position_ids=packed.positions[None] + position_offset(lm),
        use_cache=False,
        **packed.attention(),
    ).last_hidden_state[0]
    readout, structure = readout_of(lm), packed.structure
    logits = []
    # Verdicts are differences of logits: they are taken in fp32 even where the layers run in bfloat16.
    with torch.autocast(hidden.device.type, enabled=False):
        states = prefixes = matches = priors = None
        if readout.needs_states and isinstance(structure, Layout):
            states, prefixes = structure.states(hidden, readout.pooling)
            priors = structure.prior
            if isinstance(readout, PointerReadout) and readout.late is not None and prefixes is not None:
                matches = structure.matches(
                    hidden, readout.late, readout.pointwise(states, prefixes), prefixes
                )
        for q, (suffixes, identifiers) in enumerate(zip(packed.suffixes, packed.identifiers, strict=True)):
            if packed.kind in POINTWISE:
                logits.append(alone(readout, hidden[suffixes], identifiers, packed.kind, packed.sizes[q]))
                continue
            vectors = readout.vectors(identifiers) if states is None else states[q, : packed.sizes[q]].float()
            prefix = None if prefixes is None else prefixes[q]
            matched = None if matches is None else matches[q, : packed.sizes[q]]
            said = readout.logits(hidden[suffixes], vectors, packed.kind, prefix, matched)
            if priors is not None:
                prior = priors[q, : packed.sizes[q]]
                said = said - prior if packed.kind == "exclude" else said + prior
            logits.append(said)
    return logits


def alone(readout: Readout, hidden: Tensor, targets: tuple[int, ...], kind: Kind, candidates: int) -> Tensor:
    """Scores [1, n] of candidates that are seen alone: yes less no (`judge`), or the query's mean log-probability.

    hidden [n * reads, D]. They are those that the engine ranks by.
    """
    assert isinstance(readout, IdentifierReadout)
    if kind == "judge":
        yes, no = readout.logits(hidden, readout.vectors(targets), kind).unbind(1)
        return (yes - no)[None]
    wanted = torch.tensor(targets, device=hidden.device).repeat(candidates)
    return readout.logprobs(hidden, wanted).view(1, candidates, -1).mean(-1)


def readout_of(lm: Any) -> Readout:
    """The readout of a policy: its pointer head where it has one, else the language model's head."""
    head = getattr(lm, HEAD, None)
    return (
        IdentifierReadout(lm)
        if head is None
        else PointerReadout(head.w, head.W, head.scale, head.late, head.pooling)
    )


def split_head(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state dict as (the language model's, the head's): checkpoints keep the head in a file of its own."""
    mark = HEAD + "."
    head = {name.removeprefix(mark): t for name, t in state.items() if name.startswith(mark)}
    return {name: t for name, t in state.items() if not name.startswith(mark)}, head


def _save_head(head: dict[str, Tensor], folder: str | Path) -> None:
    """Writes a pointer head beside the weights, in fp32."""
    save_file(
        {name: t.detach().float().cpu().contiguous() for name, t in head.items()}, Path(folder) / HEAD_FILE
    )


def save_policy(
    policy: Policy, folder: str | Path, dtype: torch.dtype | None = None, method: str | None = None
) -> None:
    """A folder that `Ranker` loads; `dtype` (default: the weights' own) is that of the language model.

    Tied weights are saved once. `method`: see `save_beside`.
    """
    state, head = split_head(policy.lm.state_dict())
    cast: dict[int, Tensor] = {}  # by address: tied weights are one tensor before and after
    if dtype is not None:
        state = {name: cast.setdefault(t.data_ptr(), t.to(dtype)) for name, t in state.items()}
    policy.lm.save_pretrained(folder, state_dict=state)
    save_beside(policy, head, folder, dtype, method)


def save_beside(
    policy: Policy,
    head: dict[str, Tensor],
    folder: str | Path,
    dtype: torch.dtype | None = None,
    method: str | None = None,
) -> None:
    """What else a folder needs, beside the language model's weights, for `Ranker` to load it.

    `method` is what it was trained to play, None what its checkpoint says. What training set in the config (no cache)
    is not handed on, nor is a calibration, which was fitted on the weights before.
    """
    config = copy.deepcopy(policy.lm.config)
    config.dtype, config.use_cache = dtype or policy.lm.dtype, True
    settings = replace(policy.settings, method=method or policy.settings.method, calibration=None)
    config.rranker = settings.entry()
    config.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    if head:
        _save_head(head, folder)
    save_item_factors(policy.item_factors, Path(folder))
