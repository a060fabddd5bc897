"""The shipped configurations, by kernel, head size and kind of GPU.

Static on purpose: nothing is tuned at run time, so the kernel that CI compiles ahead of time is the kernel that
runs, and two machines of a kind compute the same bits. The choices here are those that fit the registers (0 spills)
and the shared memory of each kind; `report.py` compiles and checks them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

Kind = Literal["sm_90", "sm_80", "gfx942"]
"""Hopper and data-centre Blackwell; every other NVIDIA GPU (99 KB of shared memory); AMD (64 KB)."""

LARGEST_HEAD = 256
MOST_IDENTIFIERS = 512
"""What one program of `score` holds in registers."""
WIDEST_NORM = 16_384
"""What one program of a norm kernel holds in registers."""
# (block_m, block_n, warps, stages) by padded head size. 64 rows are one wgmma, and 128 two warp groups' worth. With
# three stages the words of a block of keys are loaded before the keys they mask, and those before the product.
Choice = tuple[int, int, int, int]
HALF: dict[Kind, dict[int, Choice]] = {
    "sm_90": {64: (128, 64, 8, 3), 128: (128, 64, 8, 3), 256: (64, 32, 8, 3)},
    "sm_80": {64: (128, 64, 8, 2), 128: (64, 64, 8, 2), 256: (64, 32, 8, 2)},
    "gfx942": {64: (128, 64, 8, 2), 128: (64, 32, 8, 2), 256: (64, 32, 4, 2)},
}
# Plain fp32 products run outside the tensor cores on NVIDIA GPUs: small tiles, spread over many threads.
FULL: dict[Kind, dict[int, Choice]] = {
    "sm_90": {64: (16, 32, 8, 1), 128: (16, 32, 8, 1), 256: (16, 32, 8, 1)},
    "sm_80": {64: (16, 16, 8, 1), 128: (16, 16, 8, 1), 256: (16, 32, 8, 1)},
    "gfx942": {64: (32, 32, 8, 1), 128: (32, 32, 8, 1), 256: (16, 16, 8, 1)},
}


@dataclass(frozen=True, slots=True)
class AttentionTile:
    """block_m packed rows (row × grouped head) by block_n keys, of heads of `size` columns padded to block_d."""

    size: int
    block_d: int
    block_m: int
    block_n: int
    warps: int
    stages: int

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the attention kernel's launch."""
        return {
            "D": self.size,
            "BLOCK_D": self.block_d,
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "num_warps": self.warps,
            "num_stages": self.stages,
        }


@dataclass(frozen=True, slots=True)
class ScoreTile:
    """block_a identifiers by block_h columns of hidden state."""

    block_a: int
    block_h: int
    warps: int

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the score kernel's launch."""
        return {"BLOCK_A": self.block_a, "BLOCK_H": self.block_h, "num_warps": self.warps}


@dataclass(frozen=True, slots=True)
class NormTile:
    """block_r rows, each whole: block_w columns."""

    block_r: int
    block_w: int
    warps: int

    def options(self) -> dict[str, Any]:
        """Keyword arguments of a norm kernel's launch."""
        return {"BLOCK_R": self.block_r, "BLOCK_W": self.block_w, "num_warps": self.warps}


@dataclass(frozen=True, slots=True)
class HeadsTile:
    """block_h heads of one row by block_d columns: of either half of a head (rotary), or of a whole one (write)."""

    block_h: int
    block_d: int

    def options(self) -> dict[str, Any]:
        """Keyword arguments of a launch of the rotary kernel, or of the write kernel.

        Without fusion: the rotary kernel rounds each product before it adds, and on Hopper a fused multiply-add of
        halves skips one of these roundings (measured on an H100: last bits that PyTorch's operators do not give).
        """
        return {"BLOCK_H": self.block_h, "BLOCK_D": self.block_d, "num_warps": 4, "enable_fp_fusion": False}


@dataclass(frozen=True, slots=True)
class GateTile:
    """block_w columns of one row."""

    block_w: int

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the gate kernel's launch."""
        return {"BLOCK_W": self.block_w, "num_warps": 4}


@dataclass(frozen=True, slots=True)
class LogitTile:
    """block_r rows by block_v columns of logits, block_h columns of hidden state at a time."""

    block_r: int
    block_v: int
    block_h: int
    warps: int
    stages: int

    def options(self, width: int) -> dict[str, Any]:
        """Keyword arguments of a log-probability kernel's launch, for hidden states of `width` columns."""
        return {
            "BLOCK_R": self.block_r,
            "BLOCK_V": self.block_v,
            "BLOCK_H": self.block_h,
            "EVEN": width % self.block_h == 0,
            "num_warps": self.warps,
            "num_stages": self.stages,
        }


@dataclass(frozen=True, slots=True)
class ProductTile:
    """block_m by block_n of a matrix product's output, block_k of the summed dimension at a time."""

    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the product kernel's launch."""
        return {
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "BLOCK_K": self.block_k,
            "num_warps": self.warps,
            "num_stages": self.stages,
        }


def pick_attention(size: int, dtype: torch.dtype, kind: Kind) -> AttentionTile:
    """Raises ValueError for heads of more than 256 columns, which no configuration covers."""
    if size > LARGEST_HEAD:
        raise ValueError(
            f"the Triton kernels cover head sizes up to {LARGEST_HEAD}, not {size}: use attention_backend='reference'"
        )
    table = (FULL if dtype == torch.float32 else HALF)[kind]
    block_d = max(16, ceil_pow2(size))
    return AttentionTile(size, block_d, *table[max(64, block_d)])


def pick_score(most: int) -> ScoreTile:
    """Raises ValueError for more than 512 identifiers in one decision."""
    if most > MOST_IDENTIFIERS:
        raise ValueError(f"one decision scores at most {MOST_IDENTIFIERS} identifiers, not {most}")
    block_a = max(16, ceil_pow2(most))
    return ScoreTile(block_a, max(16, 4096 // block_a), 4)


def pick_norm(width: int) -> NormTile:
    """Raises ValueError for rows of more than 16,384 columns, which no program holds in registers."""
    if width > WIDEST_NORM:
        raise ValueError(f"the norm kernels take rows of at most {WIDEST_NORM} columns, not {width}")
    block_w = max(16, ceil_pow2(width))
    block_r = max(1, 2048 // block_w)  # of narrow rows, heads', several make a program
    elements = block_r * block_w
    return NormTile(block_r, block_w, 4 if elements <= 2048 else 8 if elements <= 8192 else 16)


def pick_rotary(size: int) -> HeadsTile:
    """The rotary kernel's tile for heads of `size` columns."""
    block_d = max(16, ceil_pow2(size // 2))
    return HeadsTile(max(1, 512 // block_d), block_d)


def pick_write(size: int) -> HeadsTile:
    """The write kernel's tile for heads of `size` columns."""
    block_d = max(16, ceil_pow2(size))
    return HeadsTile(max(1, 1024 // block_d), block_d)


def pick_gate(width: int) -> GateTile:
    """The gate kernel's tile for rows of `width` columns."""
    return GateTile(min(1024, max(16, ceil_pow2(width))))


def pick_logit(dtype: torch.dtype, kind: Kind) -> LogitTile:
    """Of the forward and of the backward pass. 128 × 256 would read less, and spills on every kind."""
    if dtype == torch.float32:
        return LogitTile(64, 32, 32, 8, 1)
    return {
        "sm_90": LogitTile(128, 128, 64, 8, 4),
        "sm_80": LogitTile(128, 128, 32, 8, 3),
        "gfx942": LogitTile(128, 128, 64, 8, 2),
    }[kind]


def pick_product(dtype: torch.dtype, kind: Kind) -> ProductTile:
    """The product kernel's tile for a dtype on a kind of GPU."""
    if dtype == torch.float32:
        return ProductTile(64, 64, 32, 8, 1)
    return {
        "sm_90": ProductTile(128, 128, 64, 8, 3),
        "sm_80": ProductTile(128, 128, 32, 8, 3),
        "gfx942": ProductTile(128, 128, 64, 8, 2),
    }[kind]


def kind_of(on: torch.device) -> Kind:
    """The kind of GPU `on` is; the CPU, where the interpreter runs, passes for Hopper."""
    if torch.version.hip is not None:
        return "gfx942"
    return "sm_90" if on.type != "cuda" else _nvidia_kind(on)


@cache
def _nvidia_kind(on: torch.device) -> Kind:
    # Consumer Blackwell (12.x) has the shared memory of the older parts.
    return "sm_90" if torch.cuda.get_device_capability(on)[0] in (9, 10) else "sm_80"


def fitting_tile(query: Tensor, packed: int) -> AttentionTile:
    """The tile for `query`. Raises ValueError when the work's largest tile has more than its rows, `packed`."""
    tile = attention_tile(query)
    if packed > tile.block_m:
        raise ValueError(
            f"the work has tiles of {packed} packed rows, and the attention kernel's programs take {tile.block_m}"
        )
    return tile


def attention_tile(query: Tensor) -> AttentionTile:
    """`pick_attention` for the head size, dtype and device of `query`."""
    return pick_attention(query.shape[-1], query.dtype, kind_of(query.device))


def logit_tile(hidden: Tensor) -> LogitTile:
    """`pick_logit` for the dtype and device of `hidden`."""
    return pick_logit(hidden.dtype, kind_of(hidden.device))


def product_tile(left: Tensor) -> ProductTile:
    """`pick_product` for the dtype and device of `left`."""
    return pick_product(left.dtype, kind_of(left.device))


def ceil_pow2(n: int) -> int:
    """The smallest power of 2 that is at least `n`."""
    return 1 << max(n - 1, 0).bit_length()


def log2_scale(scaling: float) -> float:
    """Scores times this are exponents of 2; of a bias on scores, what it adds to them."""
    return scaling * math.log2(math.e)
