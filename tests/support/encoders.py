"""Tiny encoders with random weights, a WordPiece tokenizer for them, and what transformers alone says to a prompt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from rranker.engine.encoders import position_offset
from rranker.engine.self_check import dense_bias, dense_prompt
from rranker.prompts import Segments
from tests.support.architectures import VOCAB, randomized

SIZE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}

ENCODERS: dict[str, Callable[[], Any]] = {
    "bert": lambda: t.BertConfig(**SIZE),
    # numbers its layers nowhere
    "distilbert": lambda: t.DistilBertConfig(
        vocab_size=VOCAB, dim=48, n_layers=3, n_heads=4, hidden_dim=64, max_position_embeddings=128
    ),
    # positions begin behind the padding token's id
    "roberta": lambda: t.RobertaConfig(**SIZE, pad_token_id=1),
    "xlm-roberta": lambda: t.XLMRobertaConfig(**SIZE, pad_token_id=1),
    "electra": lambda: t.ElectraConfig(**SIZE, embedding_size=24),
    # applies one layer three times
    "albert": lambda: t.AlbertConfig(**SIZE, embedding_size=24),
    # rotary positions, and windows to both sides in two layers of three
    "modernbert": lambda: t.ModernBertConfig(
        **SIZE,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
        local_attention=128,
        global_attn_every_n_layers=3,
    ),
}


def tiny_encoder(name: str, seed: int = 0, **changes: Any) -> Any:
    """Random weights, fp32, with a spread wide enough that attention differs from case to case.

    Skips where this transformers computes attention in code of the model's own, as 5.0 did ModernBERT's.
    """
    family = name.replace("-", "_")
    module = import_module(f"transformers.models.{family}.modeling_{family}")
    if not hasattr(module, "ALL_ATTENTION_FUNCTIONS"):
        pytest.skip(f"{name} has attention of its own in transformers {t.__version__}")
    return random_encoder(ENCODERS[name](), seed, **changes)


def random_encoder(config: Any, seed: int = 0, **changes: Any) -> Any:
    """See `tiny_encoder`; of any config."""
    return randomized(config, seed, t.AutoModel, **changes)


def wordpiece(words: Iterable[str]) -> Any:
    """BERT's kind of tokenizer: these words, and letters for all others."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!-"
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{x}" for x in letters)]
    entries += sorted({*words} - {*entries})
    tokenizer = Tokenizer(models.WordPiece({entry: i for i, entry in enumerate(entries)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[(token, entries.index(token)) for token in ("[CLS]", "[SEP]")]
    )
    names = {f"{kind}_token": f"[{kind.upper()}]" for kind in ("pad", "unk", "cls", "sep", "mask")}
    return t.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def spaced_tokenizer(family: str) -> Any:
    """A trained tokenizer that writes a word with the space before it: ModernBERT's `bpe`, XLM-R's `sentencepiece`."""
    marks, suffixes = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"], ["<|exclude|>", "<|select|>"]
    trainer: Any
    if family == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        letters = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=marks, initial_alphabet=letters)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=marks, unk_token="<unk>")
    tokenizer.train_from_iterator(
        ["query: who saw a red fox", "passage: a red fox saw the query"] * 20, trainer
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    names = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    found = t.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{name}_token": token for name, token in names.items()}
    )
    found.add_special_tokens({"additional_special_tokens": suffixes})
    return found


def save_encoder(folder: Path, name: str = "bert", seed: int = 0, words: Iterable[str] = ()) -> Path:
    """A tiny encoder as its trainers would publish it: bare, with its tokenizer."""
    tokenizer = wordpiece(words)
    tiny_encoder(name, seed, vocab_size=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def add_sentence_files(
    folder: Path, pooling: dict[str, Any], prompts: dict[str, str] | None = None, last: str = "Normalize"
) -> Path:
    """What sentence-transformers writes beside an encoder's weights."""
    kinds = ["Transformer", "Pooling", last]
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts or {}}))
    return folder


@torch.no_grad()
def dense_states(
    lm: Any, segments: Segments, subset: tuple[int, ...], context_bias: float = 0.0
) -> list[torch.Tensor]:
    """[tokens, D] of the prefix, each candidate of the subset and the suffix: eager attention under one dense mask."""
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    ids, positions, mask = dense_prompt(segments, subset, "block", bidirectional=True)
    bias = dense_bias(segments, subset, mask, context_bias, torch.float32)
    ids, positions, bias = (x.to(lm.device) for x in (ids, positions, bias))
    hidden = lm(
        input_ids=ids[None],
        position_ids=positions[None] + position_offset(lm),
        attention_mask=bias[None, None],
    ).last_hidden_state[0]
    lm.set_attn_implementation(before)
    pieces = [segments.prefix, *(segments.candidates[i] for i in subset), segments.suffix]
    return list(hidden.split([len(piece) for piece in pieces]))


def plain_similarities(
    lm: Any, tokenizer: Any, query: str, texts: list[str], context_bias: float, pooling: str = "mean"
) -> list[float]:
    """Cosines of pooled states, by transformers alone: each text behind the query, under a dense mask of its own.

    Each text is laid out as the encoder's trainers did, `[CLS]text[SEP]`; it sees the query (`context_bias` is added to
    those scores), which does not see it.
    """
    found = []
    for text in texts:
        pieces = [tokenizer(x)["input_ids"] for x in (query, text)]
        segments = Segments(tuple(pieces[0]), (tuple(pieces[1]),), (tokenizer.mask_token_id,))
        prefix, candidate, _ = dense_states(lm, segments, (0,), context_bias)
        pair = (x[0] if pooling == "cls" else x.mean(0) for x in (prefix, candidate))
        found.append(float(torch.cosine_similarity(*pair, dim=0)))
    return found
