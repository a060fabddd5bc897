"""Words for models that are asked over a wire: a list under identifiers, and a question that says how to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .encoding import encodable
from .segments import Kind, Query
from .template import Template


@dataclass(frozen=True, slots=True)
class NumberedQuestion:
    """A question about `texts`, each under its identifier, in plain text.

    `letters` are their identifiers, each one token of any model; None numbers from 1. `order`: all are to be ranked,
    best first; else one is to be named.
    """

    template: Template
    instruction: str | None
    query: Query
    texts: Sequence[str]
    kind: Kind
    order: bool
    letters: Sequence[str] | None = None

    @property
    def identifiers(self) -> Sequence[str]:
        """One a text."""
        return self.letters or [str(i + 1) for i in range(len(self.texts))]

    @property
    def listing(self) -> str:
        """Instruction, query and list: word for word what `text.TextFormat` writes before its answer."""
        template, single = self.template, isinstance(self.query, str)
        heading = template.query_heading if single else template.history_heading + "\n"
        query = self.query if isinstance(self.query, str) else "\n".join(f"- {title}" for title in self.query)
        lines = "".join(
            f"[{identifier}] {text}\n" for identifier, text in zip(self.identifiers, self.texts, strict=True)
        )
        words = template.instruction if self.instruction is None else self.instruction
        return encodable(f"{words}\n\n{heading}{query}\n\n{template.list_heading}\n{lines}")

    @property
    def request(self) -> str:
        """What is asked, and the form of the answer; it follows the list."""
        what = "letters" if self.letters else "numbers"
        if self.order:
            best = self.template.best.lower()
            form = " > ".join(
                f"[{identifier}]" for identifier in (*self.identifiers[1:2], *self.identifiers[:1])
            )
            more = " > …" if len(self.texts) > 2 else ""
            return (
                f"Rank all {len(self.texts)} of them, {best} first. Answer with their {what} only, in this form: "
                f"{form}{more}"
            )
        return f"Which is {self.template.question(self.kind).lower()}? Answer with its {what[:-1]} only."

    @property
    def opening(self) -> str:
        """The beginning of an answer, where one may be written for the model; its next token is an identifier."""
        return f"{self.template.question(self.kind)}: ["
