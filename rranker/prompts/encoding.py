"""Text to token ids, so that user text can never become a special token."""

from __future__ import annotations

import re
from typing import Any

Tokenizer = Any  # a transformers PreTrainedTokenizerBase; this package does not import transformers


class TextEncoder:
    """Encodes trusted template literals and untrusted user text with one tokenizer.

    Every entry of the tokenizer's added-token table (`<|im_end|>`, `<think>`, …) counts as reserved, whether
    flagged special or not: user text that spells one is broken inside the spelling, so it encodes to ordinary
    tokens and reads the same (but for a space inside it, where a tokenizer starts every piece with one).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        added: dict[str, int] = dict(tokenizer.get_added_vocab())
        self._reserved_ids = frozenset(added.values()) | frozenset(tokenizer.all_special_ids)
        spellings = sorted({*added, *tokenizer.all_special_tokens}, key=len, reverse=True)
        spellings = [s for s in spellings if s]
        self._spelling = re.compile("|".join(map(re.escape, spellings))) if spellings else None
        self._cache: dict[str, tuple[int, ...]] = {}

    def literal(self, text: str) -> tuple[int, ...]:
        """Ids of a template literal; special tokens spelled in it are meant. Cached: templates repeat."""
        if text not in self._cache:
            self._cache[text] = tuple(self._encode(text)) if text else ()
        return self._cache[text]

    def user(self, text: str) -> tuple[int, ...]:
        """Ids of untrusted text: guaranteed free of reserved tokens."""
        return self.user_batch([text])[0]

    def user_batch(self, texts: list[str]) -> list[tuple[int, ...]]:
        """`user` for many texts in one tokenizer call (the fast tokenizers run it in parallel)."""
        # Lone surrogates are legal in a Python string and in no encoding.
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encoded = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []
        return [
            tuple(ids) if self._reserved_ids.isdisjoint(ids) else self._without_reserved(text)
            for text, ids in zip(texts, encoded, strict=True)
        ]

    def token_id(self, token: str) -> int:
        """The id of one exact token. Raises ValueError when the vocabulary does not have it."""
        index = self.tokenizer.convert_tokens_to_ids(token)
        if index is None or (index == self.tokenizer.unk_token_id and token != self.tokenizer.unk_token):
            raise ValueError(f"the tokenizer has no token {token!r}")
        return int(index)

    def single_token(self, text: str) -> int | None:
        """The id of `text` when it is exactly one ordinary token, else None."""
        ids = self._encode(text)
        return ids[0] if len(ids) == 1 and ids[0] not in self._reserved_ids else None

    def decode(self, ids: tuple[int, ...]) -> str:
        return str(self.tokenizer.decode(list(ids)))

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _without_reserved(self, text: str) -> tuple[int, ...]:
        """Encodes the text in pieces cut one character into each reserved spelling."""
        cuts = [m.start() + 1 for m in self._spelling.finditer(text)] if self._spelling else []
        ids = [
            i for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) for i in self._encode(text[a:b])
        ]
        if not self._reserved_ids.isdisjoint(ids):  # a spelling the tokenizer's normaliser produced
            ids = [i for character in text for i in self._encode(character)]
        return tuple(i for i in ids if i not in self._reserved_ids)
