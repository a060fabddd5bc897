"""What a GGUF file says of its model that transformers does not read: mended where that is certain, else refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UnsupportedModelError

# By llama.cpp's names of the rule by which text is split before it is tokenised. transformers has rules for some
# byte-level vocabularies and splits all others as GPT-2 does, without a word.
_AS_GPT2 = {"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion"}
_DIGIT_BY_DIGIT = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}

# Settings that transformers may leave out, and where they are in a config.
_MEANT = {
    "attention.key_length": ("head_dim",),
    "attention.sliding_window": ("sliding_window",),
    "expert_used_count": ("num_experts_per_tok",),
}


def check_facts(path: Path, facts: Mapping[str, Any], config: Any) -> None:
    """Raises UnsupportedModelError for a setting that transformers' config of the file does not have."""
    rope = getattr(config, "rope_parameters", None) or {}
    variants = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    scaling = facts.get("rope.scaling.type", "none")
    if scaling != "none" and not any(variant.get("rope_type") == scaling for variant in variants):
        raise _left_out(path, "rope.scaling.type", scaling)
    base = facts.get("rope.freq_base")
    known = [variant["rope_theta"] for variant in variants if "rope_theta" in variant]
    if base is not None and not any(abs(theta - base) <= 1e-4 * base for theta in known):
        raise _left_out(path, "rope.freq_base", base)
    for name, (attribute,) in _MEANT.items():
        said, held = facts.get(name), getattr(config, attribute, None)
        if said is None or (name == "attention.key_length" and held is None):
            continue
        if said != held:
            raise _left_out(path, name, said)


def set_window(path: Path, facts: Mapping[str, Any], config: Any) -> None:
    """Takes away a sliding window that the config's class has by default and the file does not state.

    Raises UnsupportedModelError when some layers have a window by their kind, and the file does not say how wide.
    """
    window = getattr(config, "sliding_window", None)
    if not window or "attention.sliding_window" in facts:
        return
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        raise UnsupportedModelError(
            f"{path} does not say how wide the sliding window of its layers is (attention.sliding_window); "
            f"transformers would take {window}, which may be another model's. Convert the checkpoint again with a "
            "newer llama.cpp, or use its folder"
        )
    config.sliding_window = None


def check_tokenizer_kind(path: Path, facts: Mapping[str, Any]) -> None:
    """Raises UnsupportedModelError when transformers would split text by another rule than the model's."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import (
        GGUF_PRE_TOKENIZER_SPLITS,
        GGUF_TOKENIZER_TYPES,
    )

    kind = facts.get("tokenizer.ggml.model")
    if kind not in GGUF_TOKENIZER_TYPES:
        raise UnsupportedModelError(
            f"{path} has a tokenizer of the kind {kind!r}, which transformers does not read (but "
            f"{', '.join(sorted(GGUF_TOKENIZER_TYPES))}). Use the model's checkpoint folder"
        )
    if kind != "gpt2":
        return
    rule = facts.get("tokenizer.ggml.pre")
    if rule is None and facts.get("general.architecture") == "gpt2":
        return
    # Converted before such rules were written, or by a converter that knew none for this vocabulary.
    if rule in (None, "default"):
        raise UnsupportedModelError(
            f"{path} does not say by which rule it splits text (tokenizer.ggml.pre is {rule or 'missing'}): tokens "
            "could be others than the model was trained on. Convert the checkpoint again with a newer llama.cpp, or "
            "use its folder"
        )
    if rule not in {*GGUF_PRE_TOKENIZER_SPLITS, *_AS_GPT2, *_DIGIT_BY_DIGIT}:
        raise UnsupportedModelError(
            f"{path} splits text by the rule {rule!r} (tokenizer.ggml.pre), which transformers does not know: tokens "
            "would be others than the model was trained on. Use the model's checkpoint folder"
        )


def set_pre_tokenizer(tokenizer: Any, facts: Mapping[str, Any]) -> None:
    """Splits digits one by one where the vocabulary was made so."""
    from tokenizers import pre_tokenizers

    if facts.get("tokenizer.ggml.model") == "gpt2" and facts.get("tokenizer.ggml.pre") in _DIGIT_BY_DIGIT:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )


def _left_out(path: Path, name: str, value: Any) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{path} says {name} = {value}, which transformers leaves out when it reads a GGUF file of this architecture: "
        "the model would compute something else than was trained. Use the model's checkpoint folder"
    )
