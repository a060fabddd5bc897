"""The prompt formats by the names that checkpoints call them."""

from __future__ import annotations

from collections.abc import Callable

from .assemble import PromptFormat
from .compact import CompactFormat
from .encoder import EncoderFormat
from .encoding import TextEncoder
from .text import TextFormat


def prompt_format(name: str, encoder: TextEncoder) -> PromptFormat:
    """`text`, `compact` or `encoder`. Raises ValueError when the tokenizer lacks what the format needs."""
    formats: dict[str, Callable[[TextEncoder], PromptFormat]] = {
        "text": TextFormat,
        "compact": CompactFormat,
        "encoder": EncoderFormat,
    }
    return formats[name](encoder)
