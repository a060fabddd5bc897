"""Llama 3.1's scaled RoPE in a GGUF file: a tensor of factors, which transformers leaves out, back as its settings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

FACTORS = "rope_freqs.weight"
# Of every model that has been published with it; only the factor itself differs.
_LOW, _HIGH, _ORIGINAL = 1.0, 4.0, 8192


def set_scaled_rope(config: Any, factors: npt.NDArray[np.float32]) -> bool:
    """Sets `rope_parameters` of a Llama's config to the rule that gives `factors` [head_dim / 2].

    A wave is `factors` times as long as its plain one: see `rope_type` "llama3" in transformers' modeling_rope_utils.
    Returns whether such a rule does; else the config stays as it is.
    """
    rope = dict(getattr(config, "rope_parameters", None) or {})
    if rope.get("rope_type") != "default" or factors.ndim != 1 or not len(factors):
        return False
    factor = float(factors.max())
    exponents = np.arange(len(factors)) / len(factors)
    waves = 2 * math.pi * float(rope["rope_theta"]) ** exponents
    # 1 where a wave is short enough to be kept, 0 where it is stretched by the whole factor.
    kept = np.clip((_ORIGINAL / waves - _LOW) / (_HIGH - _LOW), 0, 1)
    if not np.allclose(factors, 1 / ((1 - kept) / factor + kept), rtol=1e-4):
        return False
    config.rope_parameters = {
        **rope,
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": _LOW,
        "high_freq_factor": _HIGH,
        "original_max_position_embeddings": _ORIGINAL,
    }
    return True
