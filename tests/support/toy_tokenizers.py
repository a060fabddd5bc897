"""Small tokenizers, trained on a few lines, that treat added tokens and spaces as well-known ones do.

`train` is byte-level BPE as GPT-2's, `modern` as Qwen's and Llama 3's (a line break joins the punctuation before it),
`sentencepiece` has the three ways of a space: before a sequence, before every piece of it, or nowhere but where one is
written.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

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
