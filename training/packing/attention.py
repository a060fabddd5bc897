"""Attention of a packed batch as a few dense pieces, with gradients. No T×T mask is ever built."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from rranker.training.packing.causal import CausalLayout
from rranker.training.packing.layout import Layout, picked

NAME = "rranker_training"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    layout: Layout,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """query [1, Hq, T, D], key and value [1, Hk, T, D] → [1, T, Hq, D].

    Prefix rows are causal; candidate rows see their prefix and, causally, themselves; suffix rows see the
    prefix, the candidates alive for them, and themselves (a suffix is one token). An encoder's prefixes and candidates
    see themselves wholly. Other segments' scores get the layout's `context_bias`.
    Raises ValueError for a prompt that a layer's sliding window would cut: these pieces know no windows.
    """
    if sliding_window is not None and layout.span > sliding_window:
        raise ValueError(
            f"a prompt takes {layout.span} positions, and the model's layers see the last {sliding_window} alone "
            "(sliding_window), which training in this layout does not reproduce: shorten prompts and candidates"
        )
    heads, dim, kv = query.shape[1], query.shape[3], key.shape[1]
    q, k, v = (x[0].transpose(0, 1) for x in (query * scaling, key, value))  # [T, H, D]
    kp, vp = (picked(x, layout.prefix).transpose(1, 2) for x in (k, v))  # [B, Hk, P, D]
    seen = layout.prefix_valid[:, None]  # [B, 1, P]
    qp, group = _by_group(picked(q, layout.prefix), kv), heads // kv
    on_itself = _hide(seen, q)[:, None] if layout.attends.bidirectional else _later(kp.shape[2], group, q)
    pieces = [_on_prompt(qp, kp, vp, on_itself)]
    kc = vc = kp[:, :, :0]  # no candidates beside the prompt: all are in it
    alive: Tensor | None = None
    outside = layout.attends.context_bias
    if isinstance(layout, CausalLayout):
        seen = layout.visible
    elif layout.candidates.shape[1]:
        b, n, c = layout.candidates.shape
        kc, vc = (picked(x, layout.candidates).permute(0, 3, 1, 2, 4) for x in (k, v))  # [B, Hk, N, C, D]
        on_itself = _later(c, group, q)
        if layout.attends.bidirectional:
            on_itself = _hide(layout.candidates_valid, q)[:, None, :, None]  # [B, 1, N, 1, C]
        to_prefix = _hide(seen, q) + outside
        pieces.append(_candidates(picked(q, layout.candidates), kp, vp, kc, vc, to_prefix, on_itself))
        kc, vc = (x.reshape(b, kv, n * c, dim) for x in (kc, vc))
        alive = (layout.alive[:, :, :, None] & layout.candidates_valid[:, None]).flatten(2)  # [B, S, N·C]
    ks, vs = (picked(x, layout.suffix).transpose(1, 2) for x in (k, v))  # [B, Hk, S, D]
    qs = _by_group(picked(q, layout.suffix), kv)
    s = qs.shape[3]
    qs = qs.reshape(len(kp), kv, group * s, dim)
    own = torch.eye(s, dtype=torch.bool, device=q.device)[None]
    scores = [qs @ kp.transpose(-1, -2) + _each_head((_hide(seen, q) + outside).expand(-1, s, -1), group)]
    if alive is not None:
        scores.append(qs @ kc.transpose(-1, -2) + _each_head(_hide(alive, q) + outside, group))
    scores.append(qs @ ks.transpose(-1, -2) + _each_head(_hide(own, q), group))
    out = torch.cat(scores, -1).softmax(-1) @ torch.cat([vp, vc, vs], 2)  # [B, Hk, G·S, D]
    pieces.append(out.view(len(kp), kv, group, s, dim).permute(0, 3, 1, 2, 4))
    return torch.cat([piece.reshape(-1, heads, dim) for piece in pieces]).index_select(0, layout.back)[
        None
    ], None


def _by_group(q: Tensor, kv: int) -> Tensor:
    """[B, L, Hq, D] → [B, Hk, G, L, D]: the query heads that share a key head stand together."""
    b, length, heads, dim = q.shape
    return q.view(b, length, kv, heads // kv, dim).permute(0, 2, 3, 1, 4)


def _hide(seen: Tensor, like: Tensor) -> Tensor:
    """0 where `seen`, else -∞, in the dtype of `like`."""
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill_(~seen, -torch.inf)


def _each_head(hide: Tensor, group: int) -> Tensor:
    """[B, S, K] → [B, 1, G·S, K]."""
    return hide.repeat(1, group, 1)[:, None]


def _later(length: int, group: int, like: Tensor) -> Tensor:
    """[G·L, L]: -∞ where a key comes after its query."""
    square = torch.full((length, length), -torch.inf, dtype=like.dtype, device=like.device)
    return square.triu(1).repeat(group, 1)


def _on_prompt(q: Tensor, k: Tensor, v: Tensor, hide: Tensor) -> Tensor:
    """q [B, Hk, G, P, D], k and v [B, Hk, P, D], hide broadcast to [B, Hk, G·P, P] → [B, P, Hk, G, D].

    Padding stands after the real tokens, so a causal mask already hides it. Plain products: at these
    lengths they are several times faster than the CPU's flash kernel in bf16.
    """
    b, kv, group, p, dim = q.shape
    scores = q.reshape(b, kv, group * p, dim) @ k.transpose(-1, -2) + hide
    return (scores.softmax(-1) @ v).view(b, kv, group, p, dim).permute(0, 3, 1, 2, 4)


def _candidates(
    q: Tensor, kp: Tensor, vp: Tensor, kc: Tensor, vc: Tensor, hide: Tensor, hide_own: Tensor
) -> Tensor:
    """q [B, N, C, Hq, D] on the prefix and on its own candidate → [B, N, C, Hk, G, D].

    The prefix is kp, vp [B, Hk, P, D] and hide [B, 1, P]; the candidates are kc, vc [B, Hk, N, C, D] and hide_own,
    broadcast to [B, Hk, N, G·C, C].
    """
    b, n, c, heads, dim = q.shape
    kv, p = kp.shape[1:3]
    group = heads // kv
    q = q.view(b, n, c, kv, group, dim).permute(0, 3, 1, 4, 2, 5)  # [B, Hk, N, G, C, D]
    on_prefix = q.reshape(b, kv, n * group * c, dim) @ kp.transpose(-1, -2) + hide[:, None]
    on_self = q.reshape(b, kv, n, group * c, dim) @ kc.transpose(-1, -2) + hide_own
    joint = torch.cat([on_prefix.view(b, kv, n, group * c, p), on_self], -1).softmax(-1)
    out = joint[..., p:] @ vc
    out = out + (joint[..., :p].reshape(b, kv, n * group * c, p) @ vp).view_as(out)
    return out.view(b, kv, n, group, c, dim).permute(0, 2, 4, 1, 3, 5)


def use_packed_attention(model: nn.Module) -> None:
    """Registers the function (once is enough, twice does no harm) and makes `model` use it."""
    AttentionInterface.register(NAME, packed_attention)
    model.set_attn_implementation(NAME)  # type: ignore[operator]
