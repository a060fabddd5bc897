"""The small ranking model: a Llama or an encoder, and a pointer head that reads a fitness from hidden states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from rranker.engine.encoders import is_encoder, position_offset
from rranker.engine.readout import LateInteraction, Pooling, own_fitness, pointer_fitness
from rranker.item_factors import ItemFactors
from rranker.training.packing.attention import use_packed_attention
from rranker.training.packing.layout import Attends, Layout, padded_max_similarities, picked
from rranker.training.policy.model_config import ModelConfig

BILINEAR_RATE = 0.05
"""The pointer's W learns at this share of the rate: one entry moves every score by h_s·h_i / √D ~ 1/√D, and D² entries
move together, so at the common rate a single step would shift scores by several units."""


SCALE = 20.0
"""How much a cosine counts in a new head: what sentence-transformers multiplies it by in training."""


class PointerHead(nn.Module):
    """The weights of `pointer_fitness`: how a candidate fits alone, and among those still alive.

    But for `pooling` "last" also how much its similarity to the prefix counts (at first `SCALE`). With `late`, how much
    that of single tokens does.
    """

    def __init__(self, hidden: int, pooling: Pooling = "last", *, late: bool = False) -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        self.w = nn.Parameter(torch.randn(hidden))
        self.W = nn.Parameter(torch.randn(hidden, hidden) * 0.1 / hidden**0.5)
        self.scale = None if pooling == "last" else nn.Parameter(torch.tensor([SCALE]))
        self.maxsim: nn.Parameter | None = None
        self.gate: nn.Parameter | None = None
        self.gate_bias: nn.Parameter | None = None
        self.feedback: nn.Parameter | None = None
        if late:
            self.interact(0.0)

    def interact(self, weight: float) -> None:
        """Adds late interaction of this weight, open for every query alike."""
        self.maxsim = nn.Parameter(torch.tensor([weight]))
        self.gate = nn.Parameter(torch.zeros_like(self.w))
        self.gate_bias = nn.Parameter(torch.zeros(1))

    def feed_back(self, share: float) -> None:
        """Lets the best candidate count, too, this share of what the query does (`LateInteraction.feedback`)."""
        self.feedback = nn.Parameter(torch.tensor([share]))

    @classmethod
    def of(cls, state: Mapping[str, Tensor], pooling: Pooling) -> Self:
        """With the weights of a checkpoint, as `load_head` reads them."""
        head = cls(len(state["w"]), pooling, late="maxsim" in state)
        if "feedback" in state:
            head.feed_back(0.0)
        head.load_state_dict(state)
        return head

    @property
    def late(self) -> LateInteraction | None:
        """The present weights of late interaction; None where it has none."""
        if self.maxsim is None or self.gate is None or self.gate_bias is None:
            return None
        return LateInteraction(self.maxsim, self.gate, self.gate_bias, self.feedback)

    def temperatures(self, prefix: Tensor, search: Tensor) -> Tensor:
        """prefix [B, D], search [B] bool → [B], without gradients: what to divide fitness by in a softmax.

        Late interaction adds its weight to the logits, up to four times that of the cosine: a softmax of those is sure
        of everything, and learns by blurring the states.
        """
        if self.late is None:
            return prefix.new_ones(len(prefix))
        return (1 + self.late.strength(prefix, search) / SCALE).detach()

    def forward(
        self, candidates: Tensor, suffix: Tensor, prefix: Tensor | None, matched: Tensor | None = None
    ) -> Tensor:
        """candidates [B, N, D], suffix [B, S, D], prefix [B, D], matched [B, N] → fitness [B, S, N], fp32."""
        return pointer_fitness(self.w, self.W, suffix, candidates, self.scale, prefix, matched)


class RankingModel(nn.Module):
    """`lm` and `head` together, driven by a `Layout`.

    `context_bias`, `item_factors` and `prompts` (of an encoder, before queries and texts) are the checkpoint's; its
    layouts carry what they say.
    """

    def __init__(
        self,
        lm: Any,
        head: PointerHead,
        context_bias: float = 0.0,
        item_factors: ItemFactors | None = None,
        prompts: tuple[str, str] = ("", ""),
    ) -> None:
        super().__init__()
        self.lm, self.head, self.item_factors, self.prompts = lm, head, item_factors, prompts
        self._offset = position_offset(lm)
        encoder = is_encoder(lm.config)
        context = lm.config.max_position_embeddings - self._offset if encoder else None
        self.attends = Attends(encoder, context_bias, context)
        use_packed_attention(lm)

    def hidden(self, layout: Layout) -> Tensor:
        """[T, D], after the final norm."""
        positions = layout.positions[None] + self._offset
        out = self.lm.base_model(
            input_ids=layout.ids[None], position_ids=positions, use_cache=False, layout=layout
        )
        states: Tensor = out.last_hidden_state
        return states[0]

    def fitness(self, hidden: Tensor, layout: Layout, *, tempered: bool = False) -> Tensor:
        """[T, D] → [B, S, N]; what is not alive is −∞. `tempered`: divided by the head's `temperatures`."""
        candidates, prefix = layout.states(hidden, self.head.pooling)
        matched = None
        if self.head.late is not None and prefix is not None:
            alone = own_fitness(self.head.w, candidates, self.head.scale, prefix)
            matched = layout.matches(hidden, self.head.late, alone, prefix)
        scores: Tensor = self.head(candidates, hidden[layout.suffix], prefix, matched)
        if layout.prior is not None:
            scores = scores + layout.prior[:, None]
        if tempered and prefix is not None:
            scores = scores / self.head.temperatures(prefix, layout.search)[:, None, None]
        return scores.masked_fill(~layout.alive, -torch.inf)

    def pair_fitness(self, queries: Layout, texts: Layout) -> Tensor:
        """B queries and M texts that stand alone → [B, M]: what the head says of a candidate alone."""
        asked, said = self.hidden(queries), self.hidden(texts)
        prefixes, candidates = (
            queries.text_states(asked, self.head.pooling),
            texts.text_states(said, self.head.pooling),
        )
        nothing_asked = prefixes.new_zeros(len(prefixes), 1, prefixes.shape[-1])
        matched = None
        if (late := self.head.late) is not None:
            rows = (picked(said, texts.prefix)[None], texts.prefix_valid[None])
            alike = padded_max_similarities(picked(asked, queries.prefix), queries.prefix_words, *rows)
            matched = late.strength(prefixes, queries.search)[:, None] * alike
        scores: Tensor = self.head(candidates[None], nothing_asked, prefixes, matched)[:, 0]
        return scores


def build_model(config: ModelConfig, seed: int = 0) -> RankingModel:
    """A Llama of this shape and a pointer head, with random weights drawn from `seed`."""
    torch.manual_seed(seed)
    fields = asdict(config)
    theta = fields.pop("rope_theta")
    lm = LlamaForCausalLM(
        LlamaConfig(
            **fields,
            rope_parameters={"rope_type": "default", "rope_theta": theta},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=0,
        )
    )
    init_fan_in(lm)
    init_matching_heads(lm)
    return RankingModel(lm, PointerHead(config.hidden_size))


@torch.no_grad()
def init_fan_in(lm: LlamaForCausalLM) -> None:
    """Weights by fan-in: the usual 0.02 suits models ten times as wide, and here it starves the residuals."""
    for name, weight in lm.model.named_parameters():
        if weight.ndim == 2:
            nn.init.normal_(weight, std=0.06 if "embed" in name else 0.8 * weight.shape[1] ** -0.5)


@torch.no_grad()
def init_matching_heads(lm: LlamaForCausalLM, strength: float = 0.5) -> None:
    """Initialises one head group a layer so that identical tokens attend to each other: query weights like key weights.

    Ranking texts from nothing waits for that circuit. Only one group, because a token is also its own equal:
    with every head matching, `<|end|>` sees itself alone and nothing is learnt. `strength` 0.5 makes a match
    worth √(head_dim) / 2 = 4 in the softmax, so the other tokens still count.
    """
    config = lm.config
    dim, group = config.head_dim, config.num_attention_heads // config.num_key_value_heads
    for layer in lm.model.layers:
        q, k = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
        nn.init.normal_(k[:dim], std=config.hidden_size**-0.5)
        q[: group * dim] = strength * k[:dim].repeat(group, 1)
