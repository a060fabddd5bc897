"""Checkpoints that are not, to the last weight, a causal language model: refused, and named for what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as t

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.checkpoint import read_checkpoint
from tests.support.architectures import CONFIGS
from tests.support.checkpoints import as_class, edit, small_tokenizer, weights
from tests.support.encoders import wordpiece

NOT_CAUSAL = {
    "a classifier": (as_class("Qwen3ForSequenceClassification", tied=False), "a classifier"),
    "a classifier, tied": (as_class("Qwen3ForSequenceClassification", tied=True), "a classifier"),
    "a token classifier": (as_class("Qwen3ForTokenClassification", tied=True), "a classifier of tokens"),
    "a bare model": (as_class("Qwen3Model", tied=False), "a bare model"),
    "a bare model, tied": (as_class("Qwen3Model", tied=True), "a bare model"),
    "a masked model": (
        edit("config.json", model_type="bert", architectures=["BertForMaskedLM"], layer_types=None),
        "a masked language model",
    ),
    "a picture model": (edit("config.json", model_type="vit"), "no causal language model"),
    "an encoder-decoder": (
        edit("config.json", model_type="t5", is_encoder_decoder=True, layer_types=None),
        "encoder-decoder",
    ),
    "no head": (weights(lm_head__weight=None), r"lacks weights of Qwen3ForCausalLM: lm_head.weight"),
    "no key norm": (weights(model__layers__1__self_attn__k_norm__weight=None), r"lacks .*layers.1.*k_norm"),
    "fewer weights than layers": (
        edit("config.json", num_hidden_layers=4, layer_types=None),
        r"lacks .*layers\.3.*\(11 in all\)",
    ),
    "more weights than layers": (
        edit("config.json", num_hidden_layers=2, layer_types=None),
        r"no place for: model\.layers\.2\..*\(11 in all\)",
    ),
    "a bias that the config leaves out": (
        weights(model__layers__0__self_attn__q_proj__bias=torch.ones(64)),
        r"no place for: model\.layers\.0\.self_attn\.q_proj\.bias",
    ),
    "another shape": (
        edit("config.json", intermediate_size=80),
        r"do not fit its config.json: model\.layers\.0\.mlp\.down_proj\.weight is \[48, 64\].*\[48, 80\]",
    ),
    "a small vocabulary": (edit("config.json", vocab_size=100), r"ids up to \d+, but the model knows 100"),
    "a new model type": (edit("config.json", model_type="qwen9"), "does not know the model type 'qwen9'"),
    "no model type": (edit("config.json", model_type=None), "has no `model_type`"),
}


@pytest.mark.parametrize("case", NOT_CAUSAL)
def test_a_checkpoint_that_lacks_what_ranking_needs_is_refused_by_name(folder: Path, case: str) -> None:
    change, says = NOT_CAUSAL[case]
    change(folder)
    with pytest.raises(UnsupportedModelError, match=says) as error:
        Ranker(folder)
    assert str(folder) in str(error.value) or case == "an encoder-decoder"


@pytest.mark.parametrize("kind", [t.FunnelModel, t.FunnelBaseModel])
def test_an_encoder_that_transformers_has_two_bare_models_of_is_one(tmp_path: Path, kind: type) -> None:
    tokenizer = wordpiece(["fox"])
    kind(
        t.FunnelConfig(
            vocab_size=len(tokenizer), block_sizes=[1, 1], d_model=32, n_head=2, d_head=16, d_inner=32
        )
    ).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        UnsupportedModelError, match=f"{kind.__name__} is an encoder, which ranks through a pointer"
    ):
        Ranker(tmp_path)
    edit("config.json", architectures=None)(tmp_path)
    with pytest.raises(
        UnsupportedModelError, match="'funnel', of which transformers has no causal language model"
    ):
        Ranker(tmp_path)


def test_remote_code_is_refused_without_naming_arguments_that_do_not_exist(folder: Path) -> None:
    edit("config.json", model_type="mine", auto_map={"AutoConfig": "configuration_mine.MineConfig"})(folder)
    with pytest.raises(UnsupportedModelError, match="comes with code of its own") as error:
        Ranker(folder)
    assert "trust_remote_code" not in str(error.value)


def test_weights_of_other_modules_are_not_needed(folder: Path, sound_checkpoint: Path) -> None:
    """A value head beside the language model, as TRL saves it."""
    weights(v_head__summary__weight=torch.ones(1, 48), v_head__summary__bias=torch.ones(1))(folder)
    with Ranker(folder, dtype="float32") as one, Ranker(sound_checkpoint, dtype="float32") as other:
        texts = ["the fox", "the dog", "the query"]
        assert one.rank("which?", texts).rounds == other.rank("which?", texts).rounds


def test_a_special_token_that_no_prompt_writes_may_lie_outside_the_vocabulary(folder: Path) -> None:
    tokenizer = t.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    assert sorted(Ranker(folder).rank("which?", ["the fox", "the dog"]).order) == [0, 1]
    tokenizer.chat_template = "[PAD]" + tokenizer.chat_template
    tokenizer.save_pretrained(folder)
    with pytest.raises(UnsupportedModelError, match="belongs to another model, or tokens were added"):
        Ranker(folder)


@pytest.mark.parametrize("tied", [True, False])
def test_a_multimodal_checkpoint_ranks_by_its_text_model(tmp_path: Path, tied: bool) -> None:
    """Gemma 3 as it is published: text weights under a prefix, a vision tower beside them."""
    tokenizer = small_tokenizer()
    text = CONFIGS["gemma3"]().to_dict() | {"vocab_size": len(tokenizer), "tie_word_embeddings": tied}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = t.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, tie_word_embeddings=tied
    )
    torch.manual_seed(0)
    published = t.Gemma3ForConditionalGeneration(config).eval()
    published.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ids = torch.arange(12)[None] + 5
    with torch.no_grad():
        expected = published(input_ids=ids).logits
        torch.testing.assert_close(
            read_checkpoint(tmp_path, torch.float32).lm(input_ids=ids).logits, expected
        )
    with Ranker(tmp_path, dtype="float32") as ranker:
        assert sorted(ranker.rank("which?", ["the fox", "the dog", "the query"]).order) == [0, 1, 2]
