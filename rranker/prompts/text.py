"""Plain words for any language model: `[A] text` lines and a question, in a chat turn when the model has one."""

from __future__ import annotations

from .encoding import TextEncoder
from .segments import Kind, Piece, Query
from .template import Template

_SLOT = "\u2063rranker\u2063"  # stands for the prompt while the chat template is laid around it


class TextDialect:
    """Renders pieces for models that answer with an identifier."""

    uses_labels = True

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self._before, self._after = self._chat_frame()

    def prefix(self, template: Template, instruction: str | None, query: Query) -> Piece:
        """Chat opening, instruction, and the query or history; the list's heading closes it."""
        literal = self.encoder.literal
        words = literal(template.instruction) if instruction is None else self.encoder.user(instruction)
        tail = literal("\n\n" + template.list_heading + "\n")
        if isinstance(query, str):
            head = self._before + words + literal("\n\n" + template.query_heading)
            return Piece(head, self.encoder.user(query), tail)
        head = self._before + words + literal("\n\n" + template.history_heading + "\n")
        body = self.encoder.user("\n".join(f"- {title}" for title in query))
        return Piece(head, body, tail, keep_end=True)

    def candidates(self, texts: list[str], labels: list[int]) -> list[Piece]:
        """`[label] text⏎` for each text, the label placed as the very token the answer will name."""
        left, right, tail = self.encoder.literal("["), self.encoder.literal("] "), self.encoder.literal("\n")
        bodies = self.encoder.user_batch(texts)
        return [Piece((*left, label, *right), body, tail) for label, body in zip(labels, bodies, strict=True)]

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """Closes the chat turn and opens the answer up to `[`, so that the next token is an identifier."""
        return self._after + self.encoder.literal(template.question(kind) + ": [")

    def _chat_frame(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids before and after the user's turn: from the chat template, or the bare sequence start."""
        tokenizer = self.encoder.tokenizer
        if not getattr(tokenizer, "chat_template", None):
            start = tokenizer.bos_token_id
            return (() if start is None else (start,)), ()
        turn = [{"role": "user", "content": _SLOT}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        before, found, after = text.partition(_SLOT)
        if not found:
            raise ValueError(
                "the model's chat template drops or rewrites the user's message; cannot lay a prompt in it"
            )
        return self.encoder.literal(before), self.encoder.literal(after)
