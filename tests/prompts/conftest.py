"""Small real tokenizers: the bundled one, and one of each way to treat the space before a word.

`chatml` and `plain` are byte-level BPE as GPT-2's, `modern` as Qwen's and Llama 3's (a line break joins the
punctuation before it), `folding` has a normaliser that makes special spellings; `metaspace`, `legacy` and `gemma`
are SentencePiece's ways: a space before a sequence, before every piece of it, or nowhere but where one is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
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
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
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


SENTENCES = [
    "A quick brown fox jumps over the lazy dog.\nWhich passages answer the query?\n\nPassages:\n",
    "Rank the passages by how well they answer the query.\n\nQuery: who is the fox?\n\n",
    "The least relevant passage: the quick dog, the lazy fox.\nThe most relevant passage",
]
MODERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def modern() -> Tokenizer:
    """Byte-level BPE behind the expression that Qwen and Llama 3 split with."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(MODERN), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return _trained(tokenizer, pre_tokenizers.ByteLevel.alphabet())


def sentencepiece(space: str) -> Tokenizer:
    """BPE over `▁words`, line breaks as bytes. `metaspace` opens a sequence with a space, `legacy` (Llama 2) every
    stretch of text between special tokens, `gemma` none."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    if space == "metaspace":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    else:
        steps = [normalizers.Prepend("▁")] if space == "legacy" else []
        tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
        tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    decode = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(decode)
    return _trained(tokenizer, sorted({*"".join(CORPUS), *"ABCDE[]▁.?"}))


def _trained(tokenizer: Tokenizer, alphabet: list[str]) -> Tokenizer:
    by_bytes = tokenizer.model.byte_fallback
    texts = [line for text in SENTENCES for line in text.split("\n")] if by_bytes else SENTENCES
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts * 20, trainer)
    if by_bytes:
        state = json.loads(tokenizer.to_str())
        vocabulary = state["model"]["vocab"]
        vocabulary.update({f"<0x{i:02X}>": len(vocabulary) + i for i in range(256)})
        tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("<think>", "</think>")])
    return tokenizer


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
    return AutoTokenizer.from_pretrained(ASSETS)


@pytest.fixture(scope="session")
def encoders(bundled: Any, chatml: Any, plain: Any, folding: Any) -> dict[str, TextEncoder]:
    named = {"bundled": bundled, "chatml": chatml, "plain": plain, "folding": folding}
    return {name: TextEncoder(tokenizer) for name, tokenizer in named.items()}
