"""Prompts of encoders: every segment is laid out as the texts that the encoder was trained on.

    [CLS]instruction ⏎ query[SEP]   [CLS]text[SEP] …   <|exclude|>

with whatever tokens the encoder's tokenizer opens and closes a sequence by. The suffix is the compact format's.
"""

from __future__ import annotations

from .compact import SUFFIXES
from .encoding import TextEncoder
from .segments import Kind, PromptPart, Query
from .template import Template


class EncoderFormat:
    """Renders pieces for encoders.

    Raises ValueError when the tokenizer has no tokens that open and close a sequence, or lacks the suffixes.
    """

    uses_identifiers = False

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        opens, closes = encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id
        if opens is None or closes is None:
            raise ValueError("an encoder's prompts need a tokenizer with a `cls_token` and a `sep_token`")
        self._head, self._tail = (int(opens),), (int(closes),)
        self._suffixes = {kind: encoder.token_id(token) for kind, token in SUFFIXES.items()}

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        """The instruction, where there is one, then the query, or the history's titles a line each."""
        words = template.brief if instruction is None else instruction
        head = self._head + (self.encoder.user(words + "\n") if words else ())
        text, history = (query, False) if isinstance(query, str) else ("\n".join(query), True)
        return PromptPart(head, self.encoder.user(text), self._tail, keep_end=history)

    def candidates(self, texts: list[str], identifiers: list[int]) -> list[PromptPart]:
        """Each text alone; the readout points, so `identifiers` stay unused."""
        return [PromptPart(self._head, body, self._tail) for body in self.encoder.user_batch(texts)]

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """One token: `<|exclude|>` or `<|select|>`, the latter also for one candidate alone."""
        return (self._suffixes["exclude" if kind == "exclude" else "select"],)

    def targets(self, template: Template, query: Query) -> PromptPart:
        """None: the readout points."""
        return PromptPart((), ())
