"""The prompt of models trained from nothing: four delimiters, one task token, no chatter.

    <|prefix|><|task|>instruction ⏎ query   <|candidate|>text<|end|> …   <|exclude|>

Segment delimiters carry the whole structure, so a packed sequence can be taken apart again from its ids.
The suffix is a single token, because every elimination round pays for it.
"""

from __future__ import annotations

from .encoding import TextEncoder
from .segments import Kind, PromptPart, Query
from .template import Template

PREFIX, CANDIDATE, END, PAD = "<|prefix|>", "<|candidate|>", "<|end|>", "<|pad|>"
SUFFIXES: dict[Kind, str] = {"exclude": "<|exclude|>", "select": "<|select|>"}
TASKS = {name: f"<|{name}|>" for name in ("passage", "recommendation", "routing")}
SPECIAL_TOKENS = (PAD, PREFIX, CANDIDATE, END, *SUFFIXES.values(), *TASKS.values())
# There is no generic training data: text that fits a query is what the passage task comes closest to.
_GENERIC_STANDS_FOR = "passage"


class CompactFormat:
    """Renders pieces for models whose tokenizer holds `SPECIAL_TOKENS` (ValueError when it does not)."""

    uses_identifiers = False

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self._ids = {token: encoder.token_id(token) for token in SPECIAL_TOKENS}

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        """`<|prefix|><|task|>instruction⏎` then the query, or the history's titles a line each."""
        words = template.brief if instruction is None else instruction
        opening = self.encoder.user(words + "\n") if words else ()
        task = _GENERIC_STANDS_FOR if template.name == "generic" else template.name
        head = (self._ids[PREFIX], self._ids[TASKS[task]], *opening)
        if isinstance(query, str):
            return PromptPart(head, self.encoder.user(query))
        return PromptPart(head, self.encoder.user("\n".join(query)), keep_end=True)

    def candidates(self, texts: list[str], identifiers: list[int]) -> list[PromptPart]:
        """`<|candidate|>text<|end|>` for each text; the readout points, so `identifiers` stay unused."""
        head, tail = (self._ids[CANDIDATE],), (self._ids[END],)
        return [PromptPart(head, body, tail) for body in self.encoder.user_batch(texts)]

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """One token: `<|exclude|>` or `<|select|>`, the latter also for one candidate alone."""
        return (self._ids[SUFFIXES["exclude" if kind == "exclude" else "select"]],)

    def targets(self, template: Template, query: Query) -> PromptPart:
        """None: the readout points."""
        return PromptPart((), ())
