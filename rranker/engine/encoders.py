"""Encoders (the BERT family): which models are, and what is different about running them."""

from __future__ import annotations

from typing import Any

from torch import nn


def is_encoder(config: Any) -> bool:
    """Whether a config (of transformers) describes a bidirectional encoder without a head, as `BertModel` saves it.

    Those are the types that transformers has a masked language model of, unless the config makes a decoder of it. Of a
    type with several classes (Funnel) the config must name one: nothing else says which was saved.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING, MODEL_MAPPING

    if type(config) not in MODEL_FOR_MASKED_LM_MAPPING or type(config) not in MODEL_MAPPING:
        return False
    if getattr(config, "is_decoder", False) or getattr(config, "is_encoder_decoder", False):
        return False
    bare = {kind.__name__ for kind in as_tuple(MODEL_MAPPING[type(config)])}
    named = set(getattr(config, "architectures", None) or ())
    return named <= bare and (bool(named) or len(bare) == 1)


def as_tuple(classes: Any) -> tuple[type, ...]:
    """An entry of transformers' mappings from configs to models: one class, or a tuple where there are several."""
    return classes if isinstance(classes, tuple) else (classes,)


def position_offset(lm: Any) -> int:
    """What a model's own position ids begin with: RoBERTa's begin behind its padding token's id, all others' with 0."""
    tables = (getattr(module, "position_embeddings", None) for module in lm.base_model.modules())
    table = next((table for table in tables if isinstance(table, nn.Embedding)), None)
    return 0 if table is None or table.padding_idx is None else table.padding_idx + 1
