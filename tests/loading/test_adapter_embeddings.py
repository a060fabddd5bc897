"""Adapters whose training changed the embeddings: more or fewer tokens, and weights that the head shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers as t
from safetensors.torch import load_file, save_file

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.checkpoint import read_checkpoint
from tests.support.checkpoints import save_checkpoint, small_tokenizer

NEW = ["<thought>", "<verdict>"]
WEIGHTS = "adapter_model.safetensors"


def lora(*modules: str, **settings: Any) -> Any:
    return peft.LoraConfig(
        r=4, lora_alpha=16, target_modules=["q_proj", *modules], task_type="CAUSAL_LM", **settings
    )


KINDS = {
    "other layers": lora,
    "embeddings saved": lambda: lora(modules_to_save=["embed_tokens", "lm_head"]),
    "embeddings saved, the head not trained": lambda: lora(modules_to_save=["embed_tokens"]),
    "some tokens": lambda: lora(trainable_token_indices=[3, 7]),
    "adapters of both": lambda: lora("embed_tokens", "lm_head"),
    "adapters of the embeddings": lambda: lora("embed_tokens"),
}


def trained(tmp_path: Path, config: Any, *, tied: bool, more: int) -> tuple[Path, torch.Tensor]:
    """An adapter of a base with `more` tokens than the base, and the logits of the model that was trained."""
    base = save_checkpoint(tmp_path / "base", "qwen3", small_tokenizer(), tie_word_embeddings=tied)
    tokenizer = small_tokenizer()
    tokenizer.add_tokens(NEW[: max(0, more)])
    lm = t.AutoModelForCausalLM.from_pretrained(base)
    lm.resize_token_embeddings(lm.config.vocab_size + more, mean_resizing=False)
    torch.manual_seed(1)
    adapted = peft.get_peft_model(lm, config).eval()
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        logits = adapted(some_ids(lm)).logits
    adapted.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", logits


def some_ids(lm: Any) -> torch.Tensor:
    """First and last tokens: the new ones are among them."""
    last = lm.config.vocab_size - 1
    return torch.tensor([[3, last, 11, last - 1, 7, 5]])


@pytest.mark.parametrize("more", [2, 0])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::UserWarning:peft")
def test_what_was_trained_is_what_is_loaded(tmp_path: Path, kind: str, tied: bool, more: int) -> None:
    folder, wanted = trained(tmp_path, KINDS[kind](), tied=tied, more=more)
    if kind == "adapters of the embeddings" and not tied and more:  # peft leaves the head's new rows out
        with pytest.raises(UnsupportedModelError, match=r"does not hold lm_head of the others: merge it"):
            read_checkpoint(folder, torch.float32)
        return
    checkpoint = read_checkpoint(folder, torch.float32)
    with torch.no_grad():
        logits = checkpoint.lm(some_ids(checkpoint.lm)).logits
    assert logits.shape == wanted.shape
    torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-4)
    assert checkpoint.config.vocab_size == logits.shape[-1]
    assert [token for token in NEW if token in checkpoint.tokenizer.get_vocab()] == NEW[:more]


def test_a_ranking_reads_the_new_tokens(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, lora(), tied=True, more=2)
    with Ranker(folder, dtype="float32") as ranker:
        one = ranker.rank(f"which fox {NEW[0]}?", ["a fox", f"a dog {NEW[1]}", "a cat"]).rounds
        other = ranker.rank("which fox ?", ["a fox", "a dog", "a cat"]).rounds
    assert one != other


def test_fewer_tokens_than_the_bases_padded_ones_load(tmp_path: Path) -> None:
    base = save_checkpoint(tmp_path / "base", "qwen3", small_tokenizer())
    lm = t.AutoModelForCausalLM.from_pretrained(base)
    rows = lm.config.vocab_size
    lm.resize_token_embeddings(rows + 64)
    lm.save_pretrained(base)
    lm.resize_token_embeddings(rows)
    peft.get_peft_model(lm, lora()).save_pretrained(tmp_path / "adapter")
    assert read_checkpoint(tmp_path / "adapter", torch.float32).lm.config.vocab_size == rows


def test_tokens_without_embeddings_are_refused_with_the_cure(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, lora(), tied=True, more=2)
    kept = {k: v for k, v in load_file(folder / WEIGHTS).items() if "embed" not in k and "head" not in k}
    save_file(kept, folder / WEIGHTS)
    with pytest.raises(UnsupportedModelError, match=r"not in the adapter: merge it.*merge_and_unload"):
        Ranker(folder)


def test_changes_of_a_shared_head_do_not_fit_a_base_with_its_own(tmp_path: Path) -> None:
    config = KINDS["some tokens"]()
    folder, _ = trained(tmp_path, config, tied=True, more=2)
    save_checkpoint(tmp_path / "base", "qwen3", small_tokenizer(), tie_word_embeddings=False)
    with pytest.raises(UnsupportedModelError, match=r"was trained on another model.*lm_head"):
        read_checkpoint(folder, torch.float32)
