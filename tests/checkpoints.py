"""Checkpoint folders as `save_pretrained` writes them: tiny random models with small real tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.architectures import tiny_model


def save_checkpoint(folder: Path, architecture: str, tokenizer: Any, **changes: Any) -> Path:
    """Weights of `architecture` and `tokenizer`, in `folder`."""
    model = tiny_model(architecture, vocab_size=len(tokenizer), **changes)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
