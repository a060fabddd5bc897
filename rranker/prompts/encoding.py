"""Text to token ids: as the tokenizer writes it in its place, and never a special token out of user text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from .long_texts import LongTexts
from .segments import PromptPart
from .spans import word_starts

Tokenizer = Any  # a transformers PreTrainedTokenizerBase; this package does not import transformers

_ANCHORS = ("\n", "a")
"""What may stand before a text so that it is encoded as the middle of a line: few tokens merge with these."""
_RARE = "ᚠ 𓀀 ꙮ ⵣ ᠠ 🫠 " + "x" * 500
"""Text of which a vocabulary that has a token for the unknown will need it: rare scripts, and a word without end."""


class TextEncoder:
    """Encodes trusted template literals and untrusted user text with one tokenizer.

    Every entry of the tokenizer's added-token table (`<|im_end|>`, `<think>`, …) counts as reserved, whether
    flagged special or not: user text that spells one is broken inside the spelling, so it encodes to ordinary
    tokens and reads the same (`user` adds a space inside it where a tokenizer opens every sequence with one).
    The token that a vocabulary has for what it does not know is not reserved: any rare character becomes it.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        added: dict[str, int] = dict(tokenizer.get_added_vocab())
        self._special_ids = frozenset(added.values()) | frozenset(tokenizer.all_special_ids)
        unknown = {tokenizer.unk_token_id} & set(tokenizer(_RARE, add_special_tokens=False)["input_ids"])
        self._reserved_ids = self._special_ids - unknown
        spellings = sorted({*added, *tokenizer.all_special_tokens}, key=len, reverse=True)
        spellings = [s for s in spellings if s]
        self._spelling = re.compile("|".join(map(re.escape, spellings))) if spellings else None
        self.long_texts = LongTexts(tokenizer, spellings)
        self._anchors = [(text, ids) for text in _ANCHORS if (ids := tuple(self._encode(text)))]
        self._cache: dict[tuple[str, bool], tuple[int, ...]] = {}

    def literal(self, text: str, *, inside: bool = False) -> tuple[int, ...]:
        """Ids of a template literal; special tokens spelled in it are meant. Cached: templates repeat.

        `inside` says that other text comes before it, for tokenizers (SentencePiece's) that put a space before
        whatever opens a sequence.
        """
        if (text, inside) not in self._cache:
            self._cache[text, inside] = self._inside(text) if inside else tuple(self._encode(text))
        return self._cache[text, inside]

    def framed(self, before: str, texts: list[str], after: str, *, inside: bool = False) -> list[PromptPart]:
        """Each untrusted text between two literals, in the ids that the tokenizer writes for the three together.

        Spaces at the end of `before` go to the body: tokenizers write a word with the space before it. Where the
        text's last character and `after` share a token (`.⏎`), that token belongs to the tail. Bodies hold no
        reserved token; a text that spells one is encoded apart from the literals. `inside`: see `literal`.
        """
        opening = before.rstrip(" ")
        gap, anchor = before[len(opening) :], self._anchor(opening) if inside else ("", ())
        head, tail = self.literal(opening, inside=inside), self.literal(after, inside=True)
        lead = (*anchor[1], *head)
        spaced = [gap + text if text else "" for text in map(encodable, texts)]
        pieces = []
        for text, ids in zip(
            spaced, self._encode_all(anchor[0] + opening + text + after for text in spaced), strict=True
        ):
            end = len(ids) - len(tail)
            body, closing = ids[len(lead) : end], ids[end:]
            if ids[: len(lead)] != lead or end < len(lead) or not self._no_more_reserved(body, closing, tail):
                body, closing = self._inside_free(text), tail
            pieces.append(PromptPart(head, body, closing))
        return pieces

    def mixed(self, parts: Sequence[tuple[str, bool]]) -> tuple[int, ...]:
        """Ids of trusted and untrusted text in turn (`(text, trusted)`), as the tokenizer writes all of it together.

        Where untrusted text spells a reserved token, each part is encoded apart.
        """
        whole = tuple(self._encode("".join(encodable(text) for text, _ in parts)))
        meant = [
            i for text, trusted in parts if trusted for i in self.literal(text) if i in self._reserved_ids
        ]
        if [i for i in whole if i in self._reserved_ids] == meant:
            return whole
        ids = [
            self.literal(text, inside=at > 0) if trusted else self._inside_free(encodable(text))
            for at, (text, trusted) in enumerate(parts)
            if text
        ]
        return tuple(i for part in ids for i in part)

    def user(self, text: str) -> tuple[int, ...]:
        """Ids of untrusted text on its own: guaranteed free of reserved tokens."""
        return self.user_batch([text])[0]

    def user_batch(self, texts: list[str]) -> list[tuple[int, ...]]:
        """`user` for many texts in one tokenizer call (the fast tokenizers run it in parallel)."""
        texts = [encodable(text) for text in texts]
        return [
            ids if self._reserved_ids.isdisjoint(ids) else self._without_reserved(text)
            for text, ids in zip(texts, self._encode_all(texts), strict=True)
        ]

    def token_starts(self, text: str) -> list[int]:
        """Where its tokens begin, by character; its words, where the tokenizer cannot say."""
        if not getattr(self.tokenizer, "is_fast", False):
            return word_starts(text)
        said = self.tokenizer(
            encodable(text), add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [start for start, _ in said["offset_mapping"]]

    def token_id(self, token: str) -> int:
        """The id of one exact token. Raises ValueError when the vocabulary does not have it."""
        index = self.tokenizer.convert_tokens_to_ids(token)
        if index is None or (index == self.tokenizer.unk_token_id and token != self.tokenizer.unk_token):
            raise ValueError(f"the tokenizer has no token {token!r}")
        return int(index)

    def single_token(self, text: str) -> int | None:
        """The id of `text` inside a line when it is exactly one ordinary token, else None."""
        ids = self._inside(text)
        return ids[0] if len(ids) == 1 and ids[0] not in self._special_ids else None

    def decode(self, ids: tuple[int, ...]) -> str:
        """The text of token ids."""
        return str(self.tokenizer.decode(list(ids)))

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _encode_all(self, texts: Iterable[str]) -> list[tuple[int, ...]]:
        texts = list(texts)
        found = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []
        return [tuple(ids) for ids in found]

    def _anchor(self, text: str) -> tuple[str, tuple[int, ...]]:
        """The first anchor (and its ids) that stays as it is before `text`; none where all merge with it."""
        for anchor, ids in self._anchors:
            if tuple(self._encode(anchor + text)[: len(ids)]) == ids:
                return anchor, ids
        return "", ()

    def _inside(self, text: str) -> tuple[int, ...]:
        """Ids of a text that something comes before."""
        anchor, ids = self._anchor(text)
        return tuple(self._encode(anchor + text)[len(ids) :])

    def _inside_free(self, text: str) -> tuple[int, ...]:
        """`_inside`, free of reserved tokens."""
        ids = self._inside(text)
        return ids if self._reserved_ids.isdisjoint(ids) else self._without_reserved(text, inside=True)

    def _no_more_reserved(
        self, body: tuple[int, ...], closing: tuple[int, ...], tail: tuple[int, ...]
    ) -> bool:
        """Whether the only reserved tokens are the literal tail's own."""
        mine, meant = ([i for i in ids if i in self._reserved_ids] for ids in (closing, tail))
        return self._reserved_ids.isdisjoint(body) and mine == meant

    def _without_reserved(self, text: str, *, inside: bool = False) -> tuple[int, ...]:
        """Encodes the text in pieces cut one character into each reserved spelling."""
        cuts = [m.start() + 1 for m in self._spelling.finditer(text)] if self._spelling else []
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return tuple(i for piece in pieces for i in self._halved(piece, inside=inside))

    def _halved(self, text: str, *, inside: bool) -> Sequence[int]:
        """Encodes a text in halves of halves, where the tokenizer's normaliser makes a reserved spelling of it."""
        ids = self._inside(text) if inside else self._encode(text)
        if self._reserved_ids.isdisjoint(ids):
            return ids
        if len(text) == 1:
            return [i for i in ids if i not in self._reserved_ids]
        middle = len(text) // 2
        return [i for half in (text[:middle], text[middle:]) for i in self._halved(half, inside=inside)]


def encodable(text: str) -> str:
    """Lone surrogates are legal in a Python string and in no encoding: they become `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")
