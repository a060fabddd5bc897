"""Block attention of a packed batch as three dense pieces, with gradients. No L×L mask is ever built."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from rranker.training.layout import Layout

NAME = "rranker_training_block"


def block_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    layout: Layout,
    **_: object,
) -> tuple[Tensor, None]:
    """query [1, Hq, T, D], key and value [1, Hk, T, D] → [1, T, Hq, D].

    Prefix rows are causal; candidate rows see their prefix and, causally, themselves; suffix rows see the
    prefix, the candidates alive for them, and themselves (a suffix is one token).
    """
    _, heads, _, dim = query.shape
    kv = key.shape[1]
    group = heads // kv
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # [T, H, D]
    b, p = layout.prefix.shape
    _, n, c = layout.candidates.shape
    s = layout.suffix.shape[1]

    def pick(x: Tensor, rows: Tensor) -> Tensor:
        return x.index_select(0, rows.flatten()).view(*rows.shape, x.shape[1], dim)

    kp, vp = (pick(x, layout.prefix).transpose(1, 2) for x in (k, v))  # [B, Hk, P, D]
    qp = (pick(q, layout.prefix) * scaling).view(b, p, kv, group, dim).permute(0, 2, 3, 1, 4)
    # Padding stands after the real tokens, so the causal mask already hides it. Plain products: at these
    # lengths they are several times faster than the CPU's flash kernel in bf16.
    scores_p = qp.reshape(b, kv, group * p, dim) @ kp.transpose(-1, -2)
    later = torch.full((p, p), -torch.inf, dtype=q.dtype, device=q.device).triu(1).repeat(group, 1)
    out_p = ((scores_p + later).softmax(-1) @ vp).view(b, kv, group, p, dim)
    out_p = out_p.permute(0, 3, 1, 2, 4).reshape(b * p, heads, dim)

    hide_p = torch.zeros(b, 1, 1, p, dtype=q.dtype, device=q.device).masked_fill_(
        ~layout.prefix_valid[:, None, None], -torch.inf
    )
    qc = pick(q, layout.candidates) * scaling  # [B, N, C, Hq, D]
    kc, vc = (pick(x, layout.candidates).permute(0, 3, 1, 2, 4) for x in (k, v))  # [B, Hk, N, C, D]
    qc = qc.view(b, n, c, kv, group, dim).permute(0, 3, 1, 4, 2, 5)  # [B, Hk, N, G, C, D]
    on_prefix = qc.reshape(b, kv, n * group * c, dim) @ kp.transpose(-1, -2) + hide_p
    on_self = qc.reshape(b, kv, n, group * c, dim) @ kc.transpose(-1, -2)  # [B, Hk, N, G·C, C]
    causal = torch.full((c, c), -torch.inf, dtype=q.dtype, device=q.device).triu(1).repeat(group, 1)
    on_self = on_self + causal
    joint = torch.cat([on_prefix.view(b, kv, n, group * c, p), on_self], -1).softmax(-1)
    out_c = joint[..., p:] @ vc
    out_c = out_c + (joint[..., :p].reshape(b, kv, n * group * c, p) @ vp).view_as(out_c)
    out_c = out_c.view(b, kv, n, group, c, dim).permute(0, 2, 4, 1, 3, 5).reshape(b * n * c, heads, dim)

    qs = (pick(q, layout.suffix) * scaling).view(b, s, kv, group, dim).permute(0, 2, 3, 1, 4)
    qs = qs.reshape(b, kv, group * s, dim)
    ks, vs = (pick(x, layout.suffix).transpose(1, 2) for x in (k, v))  # [B, Hk, S, D]
    seen = (layout.alive[:, :, :, None] & layout.candidates_valid[:, None]).view(b, s, n * c)
    hide = torch.zeros(b, s, n * c, dtype=q.dtype, device=q.device).masked_fill_(~seen, -torch.inf)
    hide = hide.repeat(1, group, 1)[:, None]  # [B, 1, G·S, N·C]
    own = torch.full((s, s), -torch.inf, dtype=q.dtype, device=q.device).fill_diagonal_(0).repeat(group, 1)
    scores = torch.cat(
        [
            qs @ kp.transpose(-1, -2) + hide_p,
            qs @ kc.reshape(b, kv, n * c, dim).transpose(-1, -2) + hide,
            qs @ ks.transpose(-1, -2) + own,
        ],
        -1,
    ).softmax(-1)
    out_s = scores @ torch.cat([vp, vc.reshape(b, kv, n * c, dim), vs], 2)  # [B, Hk, G·S, D]
    out_s = out_s.view(b, kv, group, s, dim).permute(0, 3, 1, 2, 4).reshape(b * s, heads, dim)
    return torch.cat([out_p, out_c, out_s]).index_select(0, layout.back)[None], None


def use_block_attention(model: nn.Module) -> None:
    """Registers the function (once is enough, twice does no harm) and makes `model` use it."""
    AttentionInterface.register(NAME, block_attention)
    model.set_attn_implementation(NAME)  # type: ignore[operator]
