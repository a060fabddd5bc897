"""Quantised checkpoints: those that can be given back as plain weights are, the others are refused by name.

The engine runs plain weights only: quantised products depend on what else is in a pass (LLM.int8's outliers), come from
kernels of one kind of GPU, or download code. What quantisation saves, memory, is not saved here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import UnsupportedModelError
from .files import weight_files

_NAMES = {
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "fp8": "block-wise FP8",
    "gptq": "GPTQ",
    "mxfp4": "MXFP4",
    "torchao": "torchao",
}
_CURE = (
    "Give the checkpoint that it was made from; or, where transformers loads this one, its dequantised weights: "
    "`model.dequantize()`, and `save_pretrained` with the tokenizer"
)
# Read as plain weights, with these packages.
_PLAIN = {"fp8": ("accelerate",), "bitsandbytes": ("accelerate", "bitsandbytes")}


def check_quantised(config: Any, folder: Path, *, multimodal: bool) -> None:
    """Raises UnsupportedModelError, before weights are read, for a quantised checkpoint that cannot be dequantised.

    ImportError, naming the package, when that takes one that is missing.
    """
    method = _method(config)
    if method is None:
        return
    name = _NAMES.get(method, method)
    if method not in _PLAIN:
        raise UnsupportedModelError(
            f"{folder} is quantised by {name} (quantization_config in config.json), and rranker runs plain weights. "
            f"{_CURE}"
        )
    if multimodal:
        raise UnsupportedModelError(
            f"{folder} is quantised by {name} and holds a language model among other parts; only one alone is "
            f"dequantised. {_CURE}"
        )
    try:
        for package in _PLAIN[method]:
            __import__(package)
    except ImportError as error:
        raise ImportError(
            f"{folder} is quantised by {name}; reading it needs more: pip install {' '.join(_PLAIN[method])} ({error})"
        ) from error


def check_plain(lm: Any) -> None:
    """Raises UnsupportedModelError when a loaded model is quantised."""
    method = _method(lm.config)
    if method is not None:
        raise UnsupportedModelError(
            f"this {type(lm).__name__} is quantised by {_NAMES.get(method, method)}, and rranker runs plain weights: "
            "`model.dequantize()` it first, or give the checkpoint that it was made from"
        )


def ask_for_plain_weights(config: Any, folder: Path) -> None:
    """Has transformers dequantise while it loads, where it can.

    Raises UnsupportedModelError for blocks of FP8 that do not divide a matrix, or that have no scales.
    """
    if _method(config) == "fp8":
        entries = _entries(config)
        _check_blocks(folder, entries.get("weight_block_size"))
        config.quantization_config = {**entries, "dequantize": True}


def _check_blocks(folder: Path, size: Any) -> None:
    """transformers takes a block's size from the number of blocks, and a matrix without scales as it is."""
    from safetensors import safe_open

    kinds, shapes = dict[str, str](), dict[str, list[int]]()
    for path in weight_files(folder):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                part = file.get_slice(name)
                kinds[name], shapes[name] = part.get_dtype(), part.get_shape()
    for name in sorted(name for name, kind in kinds.items() if kind.startswith("F8_E4M3")):
        if f"{name}_scale_inv" not in kinds:
            raise UnsupportedModelError(
                f"{folder} lacks the scales of {name} ({name}_scale_inv): its numbers mean nothing without. {_CURE}"
            )
        if size and any(length % block for length, block in zip(shapes[name][-2:], size, strict=True)):
            raise UnsupportedModelError(
                f"{folder} is quantised in blocks of {'x'.join(map(str, size))} that do not divide {name} "
                f"({'x'.join(map(str, shapes[name]))}), which transformers dequantises wrongly. {_CURE}"
            )


def dequantised(lm: Any, dtype: torch.dtype) -> Any:
    """`lm` with plain weights of `dtype`; itself where it has them already."""
    if getattr(lm, "hf_quantizer", None) is None:
        return lm
    if _method(lm.config) == "bitsandbytes":
        lm = lm.dequantize(dtype=dtype)
    forget_quantiser(lm)
    return lm.to(dtype)


def forget_quantiser(lm: Any) -> None:
    """A model whose weights are plain can be moved, trained and saved; transformers still calls it quantised."""
    lm.config.__dict__.pop("quantization_config", None)
    for name in ("hf_quantizer", "quantization_method", "is_quantized"):
        lm.__dict__.pop(name, None)


def _entries(config: Any) -> dict[str, Any]:
    found = getattr(config, "quantization_config", None) or getattr(config, "compression_config", None) or {}
    return dict(found) if isinstance(found, Mapping) else dict(found.to_dict())


def _method(config: Any) -> str | None:
    entries = _entries(config)
    if not entries:
        return None
    method = entries.get("quant_method")
    # What bitsandbytes wrote before it named itself.
    older = any(entries.get(name) for name in ("load_in_8bit", "load_in_4bit"))
    return "bitsandbytes" if older else str(getattr(method, "value", method))
