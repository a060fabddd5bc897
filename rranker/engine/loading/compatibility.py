"""Checkpoints the engine refuses by their config, before any weight is read. The check at load catches the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..encoders import as_tuple, is_encoder
from ..errors import UnsupportedModelError

# By the ending of a transformers class: what its checkpoints are.
_KINDS = {
    "ForSequenceClassification": "a classifier",
    "ForTokenClassification": "a classifier of tokens",
    "ForQuestionAnswering": "a reader that marks answers in a text",
    "ForMultipleChoice": "a classifier of choices",
    "ForMaskedLM": "a masked language model",
    "ForPreTraining": "a pretraining model",
    "RewardModel": "a reward model",
    "Model": "a bare model without a language-model head",
}

_CAUSAL = ("ForCausalLM", "LMHeadModel")
_MAKE_A_RANKER = (
    "its tokenizer too, run `python -m rranker.training.sft.from_encoder FOLDER OUT`, and give OUT: a ranking model to "
    "start from"
)

# Reads of config attributes that mean state flows from token to token outside attention.
_RECURRENT = ("mamba", "linear_attention", "recurrent", "conv", "rwkv")


def check_model_type(entries: Mapping[str, Any], path: Path) -> None:
    """Raises UnsupportedModelError when transformers has no code of its own for this config.json's model type."""
    from transformers import CONFIG_MAPPING, __version__

    name = entries.get("model_type")
    if name is None:
        raise UnsupportedModelError(
            f"{path} has no `model_type`: it is not the config of a transformers model (as `save_pretrained` writes it)"
        )
    if name in CONFIG_MAPPING:
        return
    if "auto_map" in entries:
        raise UnsupportedModelError(
            f"{path}: the model type {name!r} comes with code of its own (`auto_map`), and rranker runs no code from "
            f"checkpoints. Only model types that transformers itself has can be ranked with (installed: {__version__})"
        )
    raise UnsupportedModelError(
        f"{path}: the installed transformers {__version__} does not know the model type {name!r}: a newer release may "
        "(`pip install -U transformers`)"
    )


def is_multimodal(config: Any) -> bool:
    """Whether a config describes a language model among other parts."""
    return getattr(config, "text_config", None) is not None


def text_config(config: Any) -> Any:
    """The config of the language model that ranks: of a multimodal one its text model's, else `config` itself.

    Whether input and output embeddings are one is said by the whole model, which holds both.
    """
    if not is_multimodal(config):
        return config
    text = config.text_config
    text.tie_word_embeddings = bool(config.tie_word_embeddings or text.tie_word_embeddings)
    return text


def check_kind(config: Any, folder: Path) -> None:
    """Raises UnsupportedModelError when a checkpoint is no encoder and has no causal language model."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    if getattr(config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{config.model_type} is an encoder-decoder; rranker drives decoder-only language models and encoders"
        )
    if is_encoder(config):
        return
    text = text_config(config)
    causal = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(text), ())
    cure = f": give a text-only one in place of {config.model_type}" if is_multimodal(config) else ""
    no_causal = UnsupportedModelError(
        f"{folder} holds a model of the type {text.model_type!r}, of which transformers has no causal language "
        f"model; rranker needs one{cure}"
    )
    if not causal and type(text) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise no_causal
    known = {kind.__name__ for kind in as_tuple(causal)}
    for name in getattr(config, "architectures", None) or ():
        if name in known or name.endswith(_CAUSAL):
            continue
        if is_multimodal(config) and name.endswith("ForConditionalGeneration"):
            continue
        if _encodes(config):
            bare = (
                f"`AutoModel.from_pretrained({str(folder)!r})` reads it without its head: save that as FOLDER"
            )
            raise UnsupportedModelError(
                f"{folder} was saved by {name}: {_kind(name)}, whose head does not rank. {bare}, {_MAKE_A_RANKER}"
            )
        raise UnsupportedModelError(
            f"{folder} was saved by {name}: {_kind(name)}; rranker needs a causal language model (…ForCausalLM) or an "
            "encoder without a head (BertModel and the like)"
        )
    if not causal:
        raise no_causal


def check_class(model: Any) -> None:
    """Raises UnsupportedModelError when a loaded transformers model is not a causal language model with its head."""
    name = type(model).__name__
    if getattr(model.config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{name} is an encoder-decoder; rranker drives decoder-only language models"
        )
    if _encodes(model.config) and not name.endswith(_CAUSAL):
        raise UnsupportedModelError(_loaded_encoder(model, name))
    if model.get_output_embeddings() is None:
        raise UnsupportedModelError(
            f"{name} is {_kind(name)}; rranker needs a causal language model (…ForCausalLM)"
        )


def _loaded_encoder(model: Any, name: str) -> str:
    """What to do with a loaded encoder: its head for ranking lies in a file, or has to be made."""
    if getattr(model.config, "rranker", None) is not None:
        return (
            f"this {name} ranks through a pointer head, which lies in a file beside its weights: give the checkpoint "
            "folder in place of the loaded model"
        )
    if model.base_model is model:
        return f"{name} is an encoder without a head to rank by: `save_pretrained` it as FOLDER, {_MAKE_A_RANKER}"
    return (
        f"{name} is an encoder with a head that does not rank: save what is below it "
        f"(`model.base_model.save_pretrained(FOLDER)`), {_MAKE_A_RANKER}"
    )


def _encodes(config: Any) -> bool:
    """Whether a config is of the BERT family's types, with whatever head, and makes no decoder of it."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING, MODEL_MAPPING

    known = type(config) in MODEL_FOR_MASKED_LM_MAPPING and type(config) in MODEL_MAPPING
    return known and not getattr(config, "is_decoder", False)


def _kind(name: str) -> str:
    return next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), "something else")


def check_supported(config: Any) -> None:
    """Raises UnsupportedModelError when `config` (a transformers PretrainedConfig) promises what we cannot do."""
    name = config.model_type
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
