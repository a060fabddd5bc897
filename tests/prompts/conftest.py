"""Small real tokenizers: the bundled one, one like ChatML's, and one whose normaliser makes special spellings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rranker.prompts.encoding import TextEncoder

ASSETS = Path(__file__).parents[2] / "rranker/assets/default"
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "the quick brown fox jumps over the lazy dog and ranks passages by how well they answer the query",
    "Query: Passages: Rank the items the user is likely to choose next, oldest first: [A] [B] [C]",
]


def train(normalizer: Any = None) -> Tokenizer:
    """Byte-level BPE with ChatML's turn tokens (special) and `<think>` (added, not flagged special)."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(CORPUS * 20, trainer)
    tokenizer.add_tokens(["<think>", "</think>"])
    return tokenizer


@pytest.fixture(scope="session")
def chatml() -> Any:
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=train(), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


@pytest.fixture(scope="session")
def plain() -> Any:
    """No chat template; a token that opens every sequence."""
    return PreTrainedTokenizerFast(tokenizer_object=train(), bos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def folding() -> Any:
    """Full-width and upper-case letters are folded before added tokens are looked for."""
    tokenizer = train(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    tokenizer.add_tokens(["<answer>"])  # added tokens that are not special match the normalised text
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")


@pytest.fixture(scope="session")
def bundled() -> Any:
    return AutoTokenizer.from_pretrained(ASSETS)


@pytest.fixture(scope="session")
def encoders(bundled: Any, chatml: Any, plain: Any, folding: Any) -> dict[str, TextEncoder]:
    named = {"bundled": bundled, "chatml": chatml, "plain": plain, "folding": folding}
    return {name: TextEncoder(tokenizer) for name, tokenizer in named.items()}
