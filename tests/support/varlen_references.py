"""References of the attention functions of flash-attn, torch and FlashInfer, to stand in their places.

Each has the signature of the real one, checks what that one would (shapes, types, layouts, devices), and computes in
float64.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from types import SimpleNamespace
from typing import NamedTuple

import torch

HALVES = (torch.float16, torch.bfloat16)


def attended(q, k, v, q_ends, k_ends, scale, causal):
    """Sequence by sequence: [rows, heads, D], and the natural log-sum-exp [heads, rows]."""
    assert q.dtype == k.dtype == v.dtype
    assert q.dtype in HALVES
    assert q_ends.dtype == k_ends.dtype == torch.int32
    assert q.stride(-1) == k.stride(-1) == v.stride(-1) == 1
    assert q_ends[0] == k_ends[0] == 0
    assert q_ends[-1] == len(q)
    assert k_ends[-1] == len(k) == len(v)
    out, lse = torch.empty_like(q), torch.empty(q.shape[1], len(q))
    groups = q.shape[1] // k.shape[1]
    for i in range(len(q_ends) - 1):
        rows, keys = (slice(int(c[i]), int(c[i + 1])) for c in (q_ends, k_ends))
        some, values = (x[keys].double().repeat_interleave(groups, 1) for x in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q[rows].double(), some) * scale
        if causal:  # aligned to the bottom right corner
            later = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1 + scores.shape[2] - scores.shape[1])
            scores = scores.masked_fill(later, -torch.inf)
        lse[:, rows] = scores.logsumexp(-1).float()
        out[rows] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), values).to(out.dtype)
    return out, lse


def varlen_reference(
    q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, softmax_scale=None, causal=False,
    window_size=(-1, -1), softcap=0.0, alibi_slopes=None, deterministic=False, return_attn_probs=False,
    block_table=None,
):  # fmt: skip
    """flash_attn_varlen_func as flash-attn 2.7 documents it; its log-sum-exp is [heads, total]."""
    assert return_attn_probs
    assert max_seqlen_q == cu_seqlens_q.diff().max()
    assert max_seqlen_k == cu_seqlens_k.diff().max()
    return *attended(q, k, v, cu_seqlens_q, cu_seqlens_k, softmax_scale, causal), None


class AuxRequest(NamedTuple):
    lse: bool = False


def torch_varlen_2_11(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None, window_size=(-1, -1)
):
    """torch.nn.attention.varlen.varlen_attn of torch 2.11; its log-sum-exp is [heads, total]."""
    assert return_aux.lse
    assert window_size in ((-1, -1), (-1, 0))
    assert max_q == cu_seq_q.diff().max()
    assert max_k == cu_seq_k.diff().max()
    return attended(query, key, value, cu_seq_q, cu_seq_k, scale, window_size == (-1, 0))


def torch_varlen_2_13(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None, window_size=(-1, -1),
    enable_gqa=False, seqused_k=None, block_table=None, num_splits=None,
):  # fmt: skip
    """That of torch 2.13, which wants to be told that heads are grouped."""
    assert enable_gqa or query.shape[1] == key.shape[1]
    rest = {"return_aux": return_aux, "scale": scale, "window_size": window_size}
    return torch_varlen_2_11(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, **rest)


class _Wrapper:
    """What FlashInfer's wrappers share; `plans` counts, of all of a package."""

    def __init__(self, plans, workspace, kv_layout):
        assert workspace.dtype == torch.uint8
        assert workspace.numel() >= 128 << 20
        self.plans, self.kv_layout, self.planned = plans, kv_layout, None

    def keep(self, given):
        """The arguments of a plan, as FlashInfer reads them."""
        assert given["q_data_type"] in HALVES
        assert given["kv_data_type"] in HALVES
        assert given["num_qo_heads"] % given["num_kv_heads"] == 0
        self.planned = given
        self.plans[type(self).__name__] += 1

    def attend(self, q, k, v, k_ends, return_lse):
        given = self.planned
        assert return_lse
        assert q.is_contiguous()
        assert q.dtype == given["q_data_type"]
        assert k.dtype == given["kv_data_type"]
        assert q.shape[1:] == (given["num_qo_heads"], given["head_dim_qk"])
        assert k.shape[1:] == (given["num_kv_heads"], given["head_dim_qk"])
        out, lse = attended(q, k, v, given["qo_indptr"], k_ends, given["sm_scale"], given["causal"])
        return out, lse.t().contiguous() / math.log(2)  # [rows, heads], base 2


class _Paged(_Wrapper):
    def plan(
        self, qo_indptr, paged_kv_indptr, paged_kv_indices, paged_kv_last_page_len, num_qo_heads, num_kv_heads,
        head_dim_qk, page_size, head_dim_vo=None, custom_mask=None, packed_custom_mask=None, causal=False,
        pos_encoding_mode="NONE", use_fp16_qk_reduction=False, sm_scale=None, window_left=-1, logits_soft_cap=None,
        rope_scale=None, rope_theta=None, q_data_type="float16", kv_data_type=None, o_data_type=None,
        non_blocking=True,
    ):  # fmt: skip
        assert paged_kv_indices.dtype == paged_kv_last_page_len.dtype == torch.int32
        assert paged_kv_indptr[-1] == len(paged_kv_indices)
        assert len(paged_kv_last_page_len) == len(paged_kv_indptr) - 1
        assert (paged_kv_last_page_len >= 1).all()
        assert (paged_kv_last_page_len <= page_size).all()
        assert (paged_kv_indptr.diff() > 0).all()
        assert page_size == 1  # all that is computed here
        self.keep({name: value for name, value in locals().items() if name != "self"})

    def run(self, q, paged_kv_cache, *args, return_lse=False):
        assert self.kv_layout == "HND"
        keys, values = paged_kv_cache  # [pages, kv_heads, page_size, D]
        assert keys.shape == values.shape
        assert keys.shape[1:3] == (self.planned["num_kv_heads"], 1)
        pages = self.planned["paged_kv_indices"].long()
        ends = self.planned["paged_kv_indptr"]
        return self.attend(q, keys[pages, :, 0], values[pages, :, 0], ends, return_lse)


class _Ragged(_Wrapper):
    def plan(
        self, qo_indptr, kv_indptr, num_qo_heads, num_kv_heads, head_dim_qk, head_dim_vo=None, custom_mask=None,
        packed_custom_mask=None, causal=False, pos_encoding_mode="NONE", use_fp16_qk_reduction=False, window_left=-1,
        logits_soft_cap=None, sm_scale=None, rope_scale=None, rope_theta=None, q_data_type="float16",
        kv_data_type=None, o_data_type=None, non_blocking=True,
    ):  # fmt: skip
        self.keep({name: value for name, value in locals().items() if name != "self"})

    def run(self, q, k, v, *args, return_lse=False):
        assert self.kv_layout == "NHD"
        return self.attend(q, k, v, self.planned["kv_indptr"], return_lse)


def flashinfer_package():
    """The module, as far as it is used; `plans` counts those of each kind of wrapper."""
    plans = Counter()
    return SimpleNamespace(
        plans=plans,
        BatchPrefillWithPagedKVCacheWrapper=lambda workspace, kv_layout="NHD": _Paged(
            plans, workspace, kv_layout
        ),
        BatchPrefillWithRaggedKVCacheWrapper=lambda workspace, kv_layout="NHD": _Ragged(
            plans, workspace, kv_layout
        ),
    )


def same_parameters(stand_in, real):
    """Whether a stand-in takes the parameters of the real one, in their order, or the first of them."""
    ours, theirs = (list(inspect.signature(function).parameters.values()) for function in (stand_in, real))
    return [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs][: len(ours)]
