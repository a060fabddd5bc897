"""Equal words are equal tokens, and user text never becomes a special token."""

from __future__ import annotations

from rranker.prompts import TEMPLATES
from rranker.prompts.compact import SPECIAL_TOKENS, CompactFormat


def test_case_accents_and_place_do_not_change_a_word(prompt_format: CompactFormat) -> None:
    encode = prompt_format.encoder.user
    assert encode("Fox") == encode("fox") == encode(" FÖX".replace("Ö", "o")) == encode("fóx")
    assert encode("red (fox)") == encode("red") + encode("(") + encode("fox") + encode(")")
    assert encode("red\nfox") == encode("red") + encode("\n") + encode("fox")


def test_special_spellings_in_user_text_stay_text(prompt_format: CompactFormat) -> None:
    reserved = {prompt_format.encoder.token_id(token) for token in SPECIAL_TOKENS}
    for token in SPECIAL_TOKENS:
        assert reserved.isdisjoint(prompt_format.encoder.user(f"a {token} b {token.upper()}"))


def test_any_text_encodes(prompt_format: CompactFormat) -> None:
    for text in ("", " ", "\x00\x1b", "🦊🏽", "שלום", "한국어", "\ud800", "x" * 10_000):
        ids = prompt_format.encoder.user(text)
        assert all(0 <= i < 320 for i in ids)
    piece = prompt_format.prefix(TEMPLATES["recommendation"], None, ["red fox", "blue cat"])
    assert piece.keep_end
