"""Checkpoint folders as `save_pretrained` writes them, tiny and random, and ways to damage a copy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t
from safetensors.torch import load_file, save_file

from tests.support.architectures import tiny_model
from tests.support.toy_tokenizers import CHAT_TEMPLATE, train

Change = Callable[[Path], Any]
TINY_START = Path(__file__).parents[2] / "configs" / "tiny-start"
"""A trained block-mode Llama with a pointer head and the compact format's tokenizer."""


def small_tokenizer() -> Any:
    """ChatML's turn tokens and its template."""
    wrapped = t.PreTrainedTokenizerFast(
        tokenizer_object=train(), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def save_checkpoint(folder: Path, architecture: str, tokenizer: Any, **changes: Any) -> Path:
    """Weights of `architecture` and `tokenizer`, in `folder`."""
    model = tiny_model(architecture, vocab_size=len(tokenizer), **changes)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def edit(name: str, **changes: Any) -> Change:
    def change(folder: Path) -> None:
        entries = {**json.loads((folder / name).read_text()), **changes}
        (folder / name).write_text(json.dumps({k: v for k, v in entries.items() if v is not None}))

    return change


def weights(**changes: torch.Tensor | None) -> Change:
    """Replaces tensors by name ('__' for '.'); None drops one."""

    def change(folder: Path) -> None:
        held: dict[str, Any] = load_file(folder / "model.safetensors")
        held |= {name.replace("__", "."): tensor for name, tensor in changes.items()}
        kept = {name: tensor for name, tensor in held.items() if tensor is not None}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def cut(name: str, size: int) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def write(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


def sharded(folder: Path) -> None:
    lm = t.AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    lm.save_pretrained(folder, max_shard_size="50KB")


def without_a_shard(folder: Path) -> None:
    sharded(folder)
    sorted(folder.glob("model-*.safetensors"))[1].unlink()


def as_class(name: str, tied: bool) -> Change:
    """What `name` of transformers saves for the same config."""

    def change(folder: Path) -> None:
        config = t.AutoConfig.from_pretrained(folder)
        config.tie_word_embeddings = tied
        (folder / "model.safetensors").unlink()
        getattr(t, name)(config).save_pretrained(folder)

    return change
