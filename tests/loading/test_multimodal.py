"""Checkpoints of models that also see pictures: the text model ranks, or the model is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.checkpoint import read_checkpoint
from tests.support.architectures import CONFIGS
from tests.support.checkpoints import small_tokenizer

VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
CLIP, PIXTRAL = {"model_type": "clip_vision_model", **VISION}, {"model_type": "pixtral", **VISION}
SECTIONS = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}


def text(name: str, **changes: Any) -> dict[str, Any]:
    return CONFIGS[name]().to_dict() | {"vocab_size": len(small_tokenizer())} | changes


def qwen_vl(name: str, base: str, vision: dict[str, Any]) -> Any:
    config = getattr(t, f"{name}Config")
    kind = config.sub_configs["text_config"].model_type
    return config(text_config=text(base, model_type=kind, rope_parameters=SECTIONS), vision_config=vision)


RANKS = {
    "LLaVA of Llama": lambda: t.LlavaConfig(
        text_config=text("llama"), vision_config=CLIP, image_token_index=5
    ),
    "LLaVA of Qwen2": lambda: t.LlavaConfig(
        text_config=text("qwen2"), vision_config=CLIP, image_token_index=5
    ),
    "Mistral 3": lambda: t.Mistral3Config(
        text_config=text("mistral"), vision_config=PIXTRAL, image_token_index=5
    ),
    "Gemma 3": lambda: t.Gemma3Config(
        text_config=text("gemma3"), vision_config=VISION, mm_tokens_per_image=4
    ),
    "Idefics 3": lambda: t.Idefics3Config(text_config=text("llama"), vision_config=VISION, scale_factor=2),
}


@pytest.mark.parametrize("name", RANKS)
def test_the_text_model_says_what_the_whole_says_of_text(tmp_path: Path, name: str) -> None:
    """Also where only the whole model says that its embeddings are tied, as in Gemma's and Mistral's here."""
    torch.manual_seed(0)
    whole = t.AutoModelForImageTextToText.from_config(RANKS[name]()).eval()
    whole.save_pretrained(tmp_path)
    small_tokenizer().save_pretrained(tmp_path)
    ids = torch.arange(12)[None] + 6
    with torch.no_grad():
        expected = whole(input_ids=ids).logits
        found = read_checkpoint(tmp_path, torch.float32).lm(input_ids=ids).logits
    torch.testing.assert_close(found, expected)
    with Ranker(tmp_path, dtype="float32") as ranker:
        assert sorted(ranker.rank("which?", ["the fox", "the dog", "the query"]).order) == [0, 1, 2]


REFUSED = {
    "qwen2_vl": lambda: qwen_vl(
        "Qwen2VL",
        "qwen2",
        {"depth": 1, "embed_dim": 16, "hidden_size": 48, "num_heads": 2, "mlp_ratio": 2, "patch_size": 14},
    ),
    "qwen2_5_vl": lambda: qwen_vl(
        "Qwen2_5_VL",
        "qwen2",
        {"depth": 1, "hidden_size": 16, "out_hidden_size": 48, "num_heads": 2, "intermediate_size": 16},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_text_models_that_are_none_alone_are_refused_by_name(tmp_path: Path, name: str) -> None:
    """Qwen-VL's has positions in three axes, and transformers no language model of it alone."""
    REFUSED[name]().save_pretrained(tmp_path)
    small_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(
        UnsupportedModelError, match=f"'{name}_text'.*give a text-only one in place of {name}"
    ):
        Ranker(tmp_path)


def test_a_loaded_multimodal_model_is_refused_with_the_cure() -> None:
    model = t.AutoModelForImageTextToText.from_config(RANKS["LLaVA of Llama"]())
    with pytest.raises(UnsupportedModelError, match="among other parts: give its checkpoint folder"):
        Ranker(model, tokenizer=small_tokenizer())
