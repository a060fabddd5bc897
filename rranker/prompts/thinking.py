"""The words of a question that is thought about before it is answered, by an identifier, as in `text.py`."""

from __future__ import annotations

from dataclasses import dataclass

from .chat import is_open, thought_tags
from .encoding import TextEncoder
from .segments import Kind
from .template import Template
from .text import TextFormat
from .turn import Turn


@dataclass(frozen=True, slots=True)
class ThoughtEnds:
    """Token ids that open the answer, behind a thought that the model `closed`, and one that it left `unclosed`."""

    closed: tuple[int, ...]
    unclosed: tuple[int, ...]


class ThinkingFormat(TextFormat):
    """The prompt asks for a thought in the model's own tags (`tags`), and opens it; the answer stands behind it.

    Templates that open the thought, or take a switch for it, do so (Qwen3, DeepSeek-R1, SmolLM3, Granite). Raises
    ValueError when the tokenizer's chat template cannot carry a prompt (see `chat.chat_frame`).
    """

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__(encoder)
        self._turn = Turn.of(encoder, thinking=True)
        self.tags = thought_tags(encoder.tokenizer)

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """Asks the question, closes the chat turn and opens the thought."""
        opened, closed = self.tags
        sought = template.question(kind)
        words = (
            f"\nFirst think step by step, in {opened} {closed} tags. Then name, by its letter, "
            f"{sought[0].lower()}{sought[1:]}."
        )
        after = self._turn.after if self._turn.chat else "\n\n"
        if not is_open(after, self.tags):
            after += f"{opened}\n"
        return self.encoder.literal(words + after, inside=True)

    def ends(self, template: Template, kind: Kind) -> ThoughtEnds:
        """What stands between a thought and the identifier that answers."""
        answer = f"\n\n{template.question(kind)}: ["
        return ThoughtEnds(
            self.encoder.literal(answer, inside=True),
            self.encoder.literal(f"\n{self.tags[1]}{answer}", inside=True),
        )
