"""Which device and which floating-point type suit this machine. The type is decided by trying, not by names.

Capability flags are facts of the processor: they do not see what oneDNN was told to use (ONEDNN_MAX_CPU_ISA), nor what
this build of torch can do. The operator that will run is therefore run once, on a tiny matrix. Nothing is timed: the
same machine must choose the same type every time, because the type decides the last bits of every score.
"""

from __future__ import annotations

import logging
from functools import cache

import torch


def best_device() -> torch.device:
    """The first CUDA (or ROCm) device when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, else float32. The engine's and the trainers' default."""
    return torch.bfloat16 if runs_well(device, torch.bfloat16) else torch.float32


def runs_well(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `dtype` is at least as fast as float32 there: elsewhere it is emulated, several times slower."""
    if dtype == torch.float32:
        return True
    if device.type == "cuda":
        return dtype != torch.bfloat16 or torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    if dtype == torch.bfloat16:
        # AVX-512 alone packs bfloat16 too, but multiplies it as float32: 1.3 times as long.
        multiplies = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return multiplies and packs(dtype)
    return dtype == torch.float16 and packs(dtype)


def warn_if_emulated(device: torch.device, dtype: torch.dtype, setting: str) -> None:
    """Logs a warning when whoever chose `dtype`, by the `setting` of that name, would be better off without."""
    if not runs_well(device, dtype):
        logging.getLogger("rranker").warning(
            "%s is emulated on this %s, several times slower than float32: leave `%s` out to have the type chosen",
            str(dtype).removeprefix("torch."),
            device.type,
            setting,
        )


@cache
def packs(dtype: torch.dtype) -> bool:
    """Whether oneDNN packs a weight of `dtype` on this CPU and multiplies by it. Tried once, on a tiny matrix."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    ones = torch.ones(8, 8, dtype=dtype, device="cpu")
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(ones)
        product = torch.ops.mkldnn._linear_pointwise(ones, packed, None, "none", [], "")
    except (AttributeError, RuntimeError):  # no such operator in this build; none for this processor
        return False
    return bool((product == 8).all())
