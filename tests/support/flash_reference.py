"""A reference of flash-attn's varlen call, to stand in the package's place."""

from __future__ import annotations

import torch


def varlen_reference(
    q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, softmax_scale=None, causal=False,
    window_size=(-1, -1), softcap=0.0, alibi_slopes=None, deterministic=False, return_attn_probs=False,
    block_table=None,
):  # fmt: skip
    """flash_attn_varlen_func as flash-attn 2.7 documents it: its signature, layouts, and log-sum-exp [heads, total]."""
    assert return_attn_probs
    assert cu_seqlens_q.dtype == cu_seqlens_k.dtype == torch.int32
    assert q.stride(-1) == k.stride(-1) == v.stride(-1) == 1
    assert cu_seqlens_q[-1] == len(q)
    assert cu_seqlens_k[-1] == len(k) == len(v)
    assert max_seqlen_q == cu_seqlens_q.diff().max()
    assert max_seqlen_k == cu_seqlens_k.diff().max()
    out, lse = torch.empty_like(q), torch.empty(q.shape[1], len(q))
    groups = q.shape[1] // k.shape[1]
    for i in range(len(cu_seqlens_q) - 1):
        rows, keys = (slice(int(c[i]), int(c[i + 1])) for c in (cu_seqlens_q, cu_seqlens_k))
        some = k[keys].double().repeat_interleave(groups, 1)
        scores = torch.einsum("qhd,khd->hqk", q[rows].double(), some) * softmax_scale
        if causal:  # aligned to the bottom right corner
            later = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1 + scores.shape[2] - scores.shape[1])
            scores = scores.masked_fill(later, -torch.inf)
        lse[:, rows] = scores.logsumexp(-1).float()
        mixed = torch.einsum(
            "hqk,khd->qhd", scores.softmax(-1), v[keys].double().repeat_interleave(groups, 1)
        )
        out[rows] = mixed.to(out.dtype)
    return out, lse, None
