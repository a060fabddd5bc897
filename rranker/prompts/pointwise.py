"""Plain words for questions about one candidate alone: yes or no, or how probable it makes the query."""

from __future__ import annotations

from dataclasses import replace

from .encoding import TextEncoder
from .segments import Kind, PromptPart, Query
from .template import Template
from .text import opening
from .turn import Turn


class _PointwiseFormat:
    """What both share: candidates without identifiers. Raises ValueError as `TextFormat` does."""

    uses_identifiers = False

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder, self._turn = encoder, Turn.of(encoder)

    def candidates(self, texts: list[str], identifiers: list[int]) -> list[PromptPart]:
        """`text⏎` for each; what it is stands before it, in the prefix."""
        return self.encoder.framed(": ", texts, "\n", inside=True)


class YesNoFormat(_PointwiseFormat):
    """The query, one candidate, and whether it fits; the answer is the logit of yes over that of no."""

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        """Chat opening, the caller's instruction, the query or history, and what a candidate is."""
        piece = opening(self.encoder, self._turn.before, template, instruction, query, f"\n\n{template.item}")
        return replace(piece, head=self._turn.start + piece.head)

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """The question, and the chat turn's end; the next token is the answer."""
        closing = self._turn.after if self._turn.chat else "\nAnswer:"
        return self.encoder.literal(f"{template.question(kind)} Answer Yes or No.{closing}", inside=True)

    def targets(self, template: Template, query: Query) -> PromptPart:
        """The first token of Yes and that of No. Raises ValueError for a vocabulary in which they are one."""
        gap = "" if self._turn.chat else " "
        yes, no = (self.encoder.literal(gap + word, inside=True)[0] for word in ("Yes", "No"))
        if yes == no:
            raise ValueError(
                "this model's tokenizer begins Yes and No with the same token, so a yes-or-no question cannot be "
                "read: use another method"
            )
        return PromptPart((yes, no), ())


class LikelihoodFormat(_PointwiseFormat):
    """One candidate, and the model is asked for the query: how probable is the one there is? (Sachan et al. 2022)."""

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        """Chat opening, the caller's instruction, and what a candidate is. The query is not in it."""
        before, item = self._turn.before, template.item
        if instruction is None:
            return PromptPart(self._turn.start + self.encoder.literal(before + item), ())
        piece = self.encoder.framed(before, [instruction], f"\n\n{item}")[0]
        return PromptPart(self._turn.start + piece.ids, ())

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """What to write, and the chat turn's end; the query comes next."""
        return self.encoder.literal(f"{template.question(kind)}{self._closing(template)}", inside=True)

    def targets(self, template: Template, query: Query) -> PromptPart:
        """The query's tokens; of a history, the end matters most. Raises ValueError when it has none."""
        text = query if isinstance(query, str) else "\n".join(query)
        gap = "" if self._turn.chat else " "
        (piece,) = self.encoder.framed(self._closing(template) + gap, [text], "", inside=True)
        if not piece.body:
            raise ValueError(
                "an empty query is as likely with any candidate: pass a query, or use another method"
            )
        return PromptPart((), piece.body, keep_end=not isinstance(query, str))

    def _closing(self, template: Template) -> str:
        return self._turn.after if self._turn.chat else f"\n{template.query_heading.rstrip()}"
