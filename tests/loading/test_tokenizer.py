"""A checkpoint's tokenizer splits text as the one that was saved does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast, Qwen2Config

from rranker.engine.loading.tokenizer import read_tokenizer

TEXT = "Hello world 123, the quick brown FOX"


def lower_cased() -> PreTrainedTokenizerFast:
    """Byte pairs that no family of models has: it reads lower-cased text, and keeps digits together."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<eos>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([TEXT] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")


@pytest.mark.parametrize("config", [Qwen2Config, LlamaConfig])
def test_a_tokenizer_of_another_family_than_the_model_is_read_as_it_was_saved(
    tmp_path: Path, config: Any
) -> None:
    saved = lower_cased()
    saved.save_pretrained(tmp_path)
    config().save_pretrained(tmp_path)
    read = read_tokenizer(tmp_path)
    assert read(TEXT)["input_ids"] == saved(TEXT)["input_ids"]
    assert read.eos_token == "<eos>"


def test_a_damaged_file_is_named_whatever_class_reads_it(tmp_path: Path) -> None:
    lower_cased().save_pretrained(tmp_path)
    Qwen2Config().save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json"):
        read_tokenizer(tmp_path)
