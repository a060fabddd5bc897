"""The bundled tokenizer, and small ones of every kind, by name."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rranker.prompts.encoding import TextEncoder
from tests.support.checkpoints import TINY_START, small_tokenizer
from tests.support.toy_tokenizers import modern, sentencepiece, train


@pytest.fixture(scope="session")
def chatml() -> Any:
    return small_tokenizer()


@pytest.fixture(scope="session")
def without_template() -> Any:
    """No chat template; a token that opens every sequence."""
    return PreTrainedTokenizerFast(tokenizer_object=train(), bos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def folding() -> Any:
    """Full-width and upper-case letters are folded before added tokens are looked for."""
    tokenizer = train(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    tokenizer.add_tokens(["<answer>"])  # added tokens that are not special match the normalised text
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")


@pytest.fixture(scope="session")
def spaced() -> dict[str, TextEncoder]:
    """Tokenizers that know `<s>` and no chat, by the way they treat the space before a word."""
    made = {"modern": modern(), **{name: sentencepiece(name) for name in ("metaspace", "legacy", "gemma")}}
    made["bytes"] = train()
    return {
        name: TextEncoder(
            PreTrainedTokenizerFast(
                tokenizer_object=tokenizer,
                bos_token="<|endoftext|>" if name == "bytes" else "<s>",
                unk_token=None if name == "bytes" else "<unk>",
            )
        )
        for name, tokenizer in made.items()
    }


@pytest.fixture(scope="session")
def bundled() -> Any:
    return AutoTokenizer.from_pretrained(TINY_START)


@pytest.fixture(scope="session")
def encoders(bundled: Any, chatml: Any, without_template: Any, folding: Any) -> dict[str, TextEncoder]:
    named = {"bundled": bundled, "chatml": chatml, "plain": without_template, "folding": folding}
    return {name: TextEncoder(tokenizer) for name, tokenizer in named.items()}
