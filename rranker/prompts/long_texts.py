"""Texts of megabytes: what will be cut away anyway is left out before the text is tokenised.

Tokenising takes a second a megabyte. What is kept is the beginning and the end, each with as many tokens as fit, cut
where a word ends and a space follows. Tokens on both sides of such a place know nothing of each other as long as no
token of the vocabulary spans it, so the kept ones are those of the whole text, and the middle can go.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import islice
from typing import Any

LONG = 100_000
"""Characters up to which a text is tokenised whole: its tokens are counted."""
# A word that ends in a letter or digit has a token of its own: no normaliser takes those away.
_WORD_END = re.compile(r"[^\W_](?= )")
# How vocabularies write a space: as it is, in GPT-2's bytes (where ĉĊč are other white space), and SentencePiece's.
_SPANNING = re.compile(r"[^\sĠĉĊč▁][ Ġ▁]")
_LOCAL_MODELS = ("BPE", "WordPiece", "WordLevel")  # Unigram's ties may go by what stands before


class LongTexts:
    """Leaves out the middle of long texts for one tokenizer, whose `spellings` are those of its added tokens."""

    def __init__(self, tokenizer: Any, spellings: list[str]) -> None:
        self._tokenizer, self._spellings = tokenizer, spellings

    def shortened(self, text: str, tokens: int) -> str:
        """`text`, or its beginning and end, whose first and last `tokens` ids are those of the whole.

        A text stays as it is up to `LONG` characters, where it has few spaces, where it spells a token that is added
        to the vocabulary, and where the tokenizer's ids may hang on what stands far away.
        """
        if len(text) <= LONG or not self._local:
            return text
        left = next((end.end() for end in islice(_WORD_END.finditer(text), tokens - 1, None)), len(text))
        right = _end_with(text, left, tokens)
        if right is None or self._spells_added(text):
            return text
        return text[:left] + text[right:]

    @cached_property
    def _local(self) -> bool:
        """Whether ids on the two sides of a word's end are independent."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            return False
        model = backend.model
        if type(model).__name__ not in _LOCAL_MODELS or getattr(model, "dropout", None):
            return False
        added = self._tokenizer.added_tokens_decoder.values()
        if backend.normalizer is not None and any(token.normalized for token in added):
            return False  # whether a text spells them shows in its normalised form alone
        return not any(_SPANNING.search(token) for token in backend.get_vocab(with_added_tokens=False))

    def _spells_added(self, text: str) -> bool:
        """Whether an added token is spelled in the text. Their beginnings come first: there are few of these."""
        openings = {spelling[:2] for spelling in self._spellings}
        present = tuple(opening for opening in openings if opening in text)
        return any(spelling in text for spelling in self._spellings if spelling.startswith(present))


def _end_with(text: str, after: int, words: int) -> int | None:
    """Where the text's end begins that holds so many words' ends; None where that is not behind `after`."""
    width = 8 * words
    while (start := len(text) - width) > after:
        ends = [end.end() for end in _WORD_END.finditer(text, start)]
        if len(ends) > words:
            return ends[-words - 1]
        width *= 2
    return None
