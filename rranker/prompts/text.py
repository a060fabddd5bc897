"""Plain words for any language model: `[A] text` lines and a question, in a chat turn when the model has one."""

from __future__ import annotations

from dataclasses import replace

from .encoding import TextEncoder
from .segments import Kind, PromptPart, Query
from .template import Template
from .turn import Turn


def opening(
    encoder: TextEncoder, before: str, template: Template, instruction: str | None, query: Query, after: str
) -> PromptPart:
    """A prompt up to its candidates: `before` (trusted), the caller's instruction, the query or history, `after`."""
    single = isinstance(query, str)
    heading = template.query_heading if single else template.history_heading + "\n"
    text = query if isinstance(query, str) else "\n".join(f"- {title}" for title in query)
    if instruction is None:
        piece = encoder.framed(before + heading, [text], after)[0]
        return replace(piece, keep_end=not single)
    words = encoder.framed(before, [instruction], f"\n\n{heading.rstrip(' ')}")[0]
    # The heading's end is encoded again as the query's context, and its ids are dropped.
    context = heading[len(heading.rstrip(" \n")) - 1 :]
    piece = encoder.framed(context, [text], after, inside=True)[0]
    return replace(piece, head=words.ids, keep_end=not single)


def list_opening(
    encoder: TextEncoder, before: str, template: Template, instruction: str | None, query: Query
) -> PromptPart:
    """A prompt up to its list, whose heading closes it; the template's instruction stands where there is none."""
    words = "" if instruction is not None else f"{template.instruction}\n\n"
    return opening(encoder, before + words, template, instruction, query, f"\n\n{template.list_heading}\n")


class TextFormat:
    """Renders pieces for models that answer with an identifier.

    Raises ValueError when the tokenizer's chat template cannot carry a prompt (see `chat.chat_frame`).
    """

    uses_identifiers = True

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self._turn = Turn.of(encoder)

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        """Chat opening, instruction, and the query or history; the list's heading closes it."""
        piece = list_opening(self.encoder, self._turn.before, template, instruction, query)
        return replace(piece, head=self._turn.start + piece.head)

    def candidates(self, texts: list[str], identifiers: list[int]) -> list[PromptPart]:
        """`[identifier] text⏎` for each text, the identifier as the very token the answer will name."""
        left = self.encoder.literal("[", inside=True)
        pieces = self.encoder.framed("] ", texts, "\n", inside=True)
        return [
            replace(piece, head=(*left, identifier, *piece.head))
            for identifier, piece in zip(identifiers, pieces, strict=True)
        ]

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """Closes the chat turn and opens the answer up to `[`, so that the next token is an identifier."""
        return self.encoder.literal(f"{self._turn.after}{template.question(kind)}: [", inside=True)

    def targets(self, template: Template, query: Query) -> PromptPart:
        """None: a list is answered by an identifier."""
        return PromptPart((), ())
