"""Architectures the engine refuses by their config, before any weight is read. The probe catches the rest."""

from __future__ import annotations

from typing import Any

from .errors import UnsupportedModelError

# Reads of config attributes that mean state flows from token to token outside attention.
_RECURRENT = ("mamba", "linear_attention", "recurrent", "conv", "rwkv")


def check_supported(config: Any) -> None:
    """Raises UnsupportedModelError when `config` (a transformers PretrainedConfig) promises what we cannot do."""
    name = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{name} is an encoder-decoder; rranker drives decoder-only language models"
        )
    kinds = {
        str(kind)
        for kind in getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or ()
    }
    recurrent = sorted(kind for kind in kinds if any(part in kind for part in _RECURRENT))
    # Some hybrids (Falcon-H1) run a state-space model beside attention in every layer, and name no layer types.
    beside = any(key.startswith(("mamba_", "ssm_")) for key in config.to_dict())
    if recurrent or beside or any(part in name for part in ("mamba", "rwkv")):
        raise UnsupportedModelError(
            f"{name} has recurrent layers ({', '.join(recurrent) or name}): their state depends on every token before, "
            "so candidates cannot be encoded once and dropped"
        )
    if getattr(config, "attn_logit_softcapping", None):
        raise UnsupportedModelError(
            f"{name} soft-caps its attention logits, which the engine does not reproduce"
        )
    if getattr(config, "kv_lora_rank", None):
        raise UnsupportedModelError(
            f"{name} uses multi-head latent attention, which the engine does not store"
        )
    if getattr(config, "num_kv_shared_layers", None):
        raise UnsupportedModelError(
            f"{name} shares keys and values between layers, which the engine does not store"
        )
    rope = getattr(config, "rope_parameters", None) or {}
    variants = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    for variant in variants:
        if variant.get("rope_type") in ("dynamic", "longrope"):
            raise UnsupportedModelError(
                f"{name} uses {variant['rope_type']} RoPE: its frequencies change with the longest position seen, "
                "so stored keys would grow stale. Set rope_parameters to the default type in config.json to run it "
                "within its original context"
            )
