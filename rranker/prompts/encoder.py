"""Prompts of encoders: every segment is laid out as the texts that the encoder was trained on.

    [CLS]instruction ⏎ query[SEP]   [CLS]text[SEP] …   <|exclude|>

with whatever tokens the encoder's tokenizer opens and closes a sequence by, and behind `[CLS]` the prompts that it was
trained with, where it was ("query: "). The suffix is the compact format's.
"""

from __future__ import annotations

from .compact import SUFFIXES
from .encoding import TextEncoder
from .segments import Kind, PromptPart, Query
from .template import Template


class EncoderFormat:
    """Renders pieces for encoders. `query_prompt` and `document_prompt`: what opens a query and a text.

    Raises ValueError when the tokenizer has no tokens that open and close a sequence, or lacks the suffixes.
    """

    uses_identifiers = False

    def __init__(self, encoder: TextEncoder, query_prompt: str = "", document_prompt: str = "") -> None:
        self.encoder = encoder
        opens, closes = encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id
        if opens is None or closes is None:
            raise ValueError("an encoder's prompts need a tokenizer with a `cls_token` and a `sep_token`")
        self._tail = (int(closes),)
        self._query, self._query_gap = self._opening(int(opens), query_prompt)
        self._text, self._text_gap = self._opening(int(opens), document_prompt)
        self._suffixes = {kind: encoder.token_id(token) for kind, token in SUFFIXES.items()}

    def _opening(self, opens: int, prompt: str) -> tuple[tuple[int, ...], str]:
        """The tokens of the beginning, and the space behind it, with which tokenizers write the next word."""
        words = prompt.rstrip(" ")
        return (opens, *(self.encoder.user(words) if words else ())), prompt[len(words) :]

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        """The instruction, where there is one, then the query, or the history's titles a line each."""
        words = template.brief if instruction is None else instruction
        text, history = (query, False) if isinstance(query, str) else ("\n".join(query), True)
        if words:
            head, body = (
                self._query + self.encoder.user(self._query_gap + words + "\n"),
                self.encoder.user(text),
            )
        else:
            head, body = self._query, self.encoder.user(self._query_gap + text)
        return PromptPart(head, body, self._tail, keep_end=history)

    def candidates(self, texts: list[str], identifiers: list[int]) -> list[PromptPart]:
        """Each text alone; the readout points, so `identifiers` stay unused."""
        bodies = self.encoder.user_batch([self._text_gap + text for text in texts])
        return [PromptPart(self._text, body, self._tail) for body in bodies]

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        """One token: `<|exclude|>` or `<|select|>`, the latter also for one candidate alone."""
        return (self._suffixes["exclude" if kind == "exclude" else "select"],)

    def targets(self, template: Template, query: Query) -> PromptPart:
        """None: the readout points."""
        return PromptPart((), ())
