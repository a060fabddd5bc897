"""Every shipped configuration of every kernel, as something to compile without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from .attention.work import CELL
from .gate.reference import ACTIVATIONS
from .launch import (
    Kind,
    ceil_pow2,
    pick_attention,
    pick_gate,
    pick_logit,
    pick_norm,
    pick_product,
    pick_rotary,
    pick_score,
    pick_write,
)

KINDS: tuple[Kind, ...] = ("sm_90", "sm_80", "gfx942")
# 80 stands for the head sizes that are padded.
HEAD_SIZES = (64, 80, 128, 256)
SCORED = (16, 128, 512)
# Heads of models that normalise them; hidden states of small and large ones, and the widest.
NORMED = (128, 896, 16_384)
HEADS = (64, 80, 128)
_DTYPES = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}
_MODEL = {
    "query",
    "key",
    "value",
    "stored_key",
    "stored_value",
    "out",
    "hidden",
    "weight",
    "grad",
    "left",
    "right",
    *("x", "residual", "summed", "gate", "up", "cos", "sin", "out_query", "out_key"),
}
_INT32 = {
    *(
        "tile_rows",
        "tile_counts",
        "item_tiles",
        "cell_begins",
        "cell_ends",
        "item_own",
        "item_parts",
        "cell_slots",
    ),
    *("key_words", "row_bits", "chunk_starts", "own_ends", "merged", "part_begins", "part_ends"),
    *("identifiers", "offsets", "out_best", "source_rows", "slots"),
}
_FP32 = {
    *("partial", "partial_lse", "out_m_i", "out_l_i", "out_weighted", "out_picked", "lse", "entropy"),
    *("to_logprobs", "to_entropy", "out_logits", "out_logprobs", "out_entropy"),
}
# Sizes and strides that a launch finds to be multiples of 16; the others may be anything.
_STRIDES = ("_head", "_row", "_slot")
_ALIGNED = {"width", "left_m", "left_k", "right_k", "out_m", "m", "n", "k"}


@dataclass(frozen=True, slots=True)
class Build:
    """One kernel for one kind of GPU.

    `shape` names the configuration; `matrix` says it must use tensor cores, `fusion` that multiply-adds may be fused.
    """

    kernel: str
    shape: str
    dtype: str
    kind: Kind
    constants: dict[str, Any]
    warps: int
    stages: int
    matrix: bool
    fp32_out: bool = False
    fusion: bool = True

    @property
    def name(self) -> str:
        """Kernel, shape, dtype and GPU in one line, as the table of docs/kernels.md shows it."""
        return f"{self.kernel} {self.shape} {self.dtype} {self.kind}"

    def signature(self, arguments: list[str]) -> tuple[dict[str, str], dict[tuple[int], list[list[Any]]]]:
        """Types of the kernel's arguments, and which of them are multiples of 16, as a launch specialises them."""
        types, aligned = {}, {}
        for index, name in enumerate(arguments):
            kind = self._type(name)
            types[name] = kind
            if kind.startswith("*") or (kind == "i32" and (name in _ALIGNED or name.endswith(_STRIDES))):
                aligned[index,] = [["tt.divisibility", 16]]
        return types, aligned

    def _type(self, name: str) -> str:
        if name in self.constants:
            return "constexpr"
        if name in _FP32 or (name == "out" and self.fp32_out):
            return "*fp32"
        if name in _MODEL:
            return f"*{self.dtype}"
        if name in _INT32:
            return "*i32"
        if name == "targets":
            return "*i64"
        return "fp32" if name in ("scale", "cap", "context_bias", "eps") else "i32"


def builds() -> Iterator[Build]:
    """Every configuration that is shipped, for each kind of GPU and each dtype."""
    for kind in KINDS:
        for dtype in _DTYPES:
            yield from _attention(kind, dtype)
            yield from _score(kind, dtype)
            yield from _logprob(kind, dtype)
            yield from _fused(kind, dtype)


def _attention(kind: Kind, dtype: torch.dtype) -> Iterator[Build]:
    tensor_cores = dtype != torch.float32
    for size in HEAD_SIZES:
        tile = pick_attention(size, dtype, kind)
        options = {"CELL": CELL, **tile.options()}
        yield _build("attention_kernel", f"D={size}", dtype, kind, options, tensor_cores)
        merged = {"D": size, "BLOCK_D": ceil_pow2(size), "BLOCK_M": tile.block_m, "num_warps": 8}
        yield _build("merge_kernel", f"D={size}", dtype, kind, merged, False)


def _score(kind: Kind, dtype: torch.dtype) -> Iterator[Build]:
    for most in SCORED:
        options = {"CAPPED": False, **pick_score(most).options()}
        yield _build("score_kernel", f"A={most}", dtype, kind, options, False)


def _logprob(kind: Kind, dtype: torch.dtype) -> Iterator[Build]:
    tensor_cores = dtype != torch.float32
    options = pick_logit(dtype, kind).options(width=0)
    yield _build("logprob_forward_kernel", "", dtype, kind, {"SPLIT": 4096, **options}, tensor_cores)
    yield _build("logprob_grad_kernel", "", dtype, kind, options, tensor_cores)
    product = pick_product(dtype, kind).options()
    for shape, add, adjacent in (("to hidden", True, "left_k"), ("to weight", False, "left_m")):
        yield _build(
            "product_kernel", shape, dtype, kind, {"ADD": add, adjacent: 1, **product}, tensor_cores, add
        )


def _fused(kind: Kind, dtype: torch.dtype) -> Iterator[Build]:
    for width in NORMED:
        options = {"WIDTH": width, "OFFSET": False, "ROUNDED": True, **pick_norm(width).options()}
        yield _build("norm_kernel", f"W={width}", dtype, kind, options, False)
        yield _build("add_norm_kernel", f"W={width}", dtype, kind, options, False)
    for size in HEADS:
        options = {"HALF": size // 2, **pick_rotary(size).options()}
        yield _build("rotary_kernel", f"D={size}", dtype, kind, options, False)
    for size in HEADS:
        options = {"KEY_D": size, "VALUE_D": size, **pick_write(size).options()}
        yield _build("write_kernel", f"D={size}", dtype, kind, options, False)
    for activation, name in enumerate(ACTIVATIONS):
        options = {"ACTIVATION": activation, **pick_gate(4096).options()}
        yield _build("gate_kernel", name, dtype, kind, options, False)


def _build(
    kernel: str,
    shape: str,
    dtype: torch.dtype,
    kind: Kind,
    options: dict[str, Any],
    matrix: bool,
    fp32_out: bool = False,
) -> Build:
    launch = ("num_warps", "num_stages", "enable_fp_fusion")
    constants = {key: value for key, value in options.items() if key not in launch}
    warps, stages, fusion = options["num_warps"], options.get("num_stages", 2), options.get(launch[2], True)
    return Build(kernel, shape, _DTYPES[dtype], kind, constants, warps, stages, matrix, fp32_out, fusion)
