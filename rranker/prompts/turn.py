"""Where a prompt stands: in a user's turn of the model's chat template, or in plain text."""

from __future__ import annotations

from dataclasses import dataclass

from .chat import chat_frame
from .encoding import TextEncoder


@dataclass(frozen=True, slots=True)
class Turn:
    """The words around a prompt.

    `before` and `after`: what the chat template writes around a message; the answer comes next. `start`: what opens
    the text of a model without a chat template, whose `before` and `after` are empty.
    """

    chat: bool
    start: tuple[int, ...]
    before: str
    after: str

    @classmethod
    def of(cls, encoder: TextEncoder, *, thinking: bool = False) -> Turn:
        """The turn that a tokenizer's model expects; see `chat.chat_frame`, whose errors it raises."""
        tokenizer = encoder.tokenizer
        if getattr(tokenizer, "chat_template", None):
            return cls(True, (), *chat_frame(tokenizer, thinking=thinking))
        return cls(False, () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,), "", "")
