"""Texts of megabytes: their middles are left out, and every id of the prompt is that of the whole text."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.prompts import TEMPLATES, long_texts
from rranker.prompts.assemble import Assembler, Limits
from rranker.prompts.compact import CompactFormat
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.text import TextFormat

ROOT = Path(__file__).parents[2]
WORDS = (
    *[
        "the",
        "quick",
        "brown",
        "fox",
        "lazy",
        "dog",
        ",",
        "and",
        "ranks",
        "passages",
        "!",
        "well...",
        "(1990)",
    ],
    *(
        "don't",
        "3.50",
        "1,234,567",
        "naïve",
        "e\u0301te\u0301",
        "日本語",
        "🫠",
        "👩‍👩‍👧",
        "x" * 40,
        "=" * 30,
        "\u200b",
        "ﬁ",
        "Ġ",
        "▁",
    ),
)
GAPS = (*[" "] * 12, "  ", "\n", " \n", "\n\n", ".\n", "\t ", "      ", "\u00a0", "\u3000 ", ". ")


def prose(seed: int, words: int = 900) -> str:
    rng = random.Random(seed)
    return "".join(rng.choice(WORDS) + rng.choice(GAPS) for _ in range(words))


UNBROKEN = {
    "one word": "x" * 5000,
    "two letters": "ab" * 2500,
    "no spaces in Chinese": "他在房间里走来走去。" * 500,
    "faces": "🫠👩‍👩‍👧" * 900,
    "spaces": " " * 5000,
    "lines": "one\ntwo\n" * 800,
    "marks": "... !!! " * 600,
    "what normalisers take away": "\u200b \x01 " * 1000,
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "LONG", 200)


@pytest.fixture(scope="module")
def known(
    bundled: Any, encoders: dict[str, TextEncoder], spaced: dict[str, TextEncoder]
) -> dict[str, TextEncoder]:
    return {**encoders, **spaced}


NAMES = ["bundled", "chatml", "plain", "folding", "modern", "metaspace", "legacy", "gemma", "bytes"]
CUT = [name for name in NAMES if name != "folding"]


def ids(encoder: TextEncoder, text: str, shown: str) -> list[tuple[int, ...]]:
    """The ids of a text, as formats ask for them: on its own, and between literals."""
    (framed,) = encoder.framed("] ", [shown], "\n", inside=True)
    return [encoder.user(shown), framed.body, framed.tail]


def same_ends(encoder: TextEncoder, text: str, tokens: int) -> bool:
    """Whether the text was shortened; if so, its ends must be those of the whole."""
    shown = encoder.long_texts.shortened(text, tokens)
    for whole, cut in zip(ids(encoder, text, text), ids(encoder, text, shown), strict=True):
        if shown != text and len(whole) > tokens:
            assert len(cut) > tokens
        assert (whole[:tokens], whole[-tokens:]) == (cut[:tokens], cut[-tokens:])
    return shown != text


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", NAMES)
def test_both_ends_have_the_ids_of_the_whole_text(known: dict[str, TextEncoder], name: str) -> None:
    shortened = [same_ends(known[name], prose(seed), tokens) for seed in range(12) for tokens in (1, 7, 60)]
    assert any(shortened) == (name in CUT)
    assert not any(same_ends(known[name], prose(seed), 5000) for seed in range(3))  # all of it fits


@pytest.mark.usefixtures("short")
@pytest.mark.pretrained
def test_real_texts_in_public_vocabularies(smollm2: Path) -> None:
    """Pages, a changelog and C++, in SmolLM2's bytes and in the bundled model's words."""
    texts = [path.read_text()[:30_000] for path in sorted((ROOT / "docs").glob("*.md"))[:8]]
    texts += [(ROOT / name).read_text()[:30_000] for name in ("CHANGELOG.md", "csrc/json_lists.cpp")]
    for folder in (smollm2, DEFAULT_MODEL):
        encoder = TextEncoder(AutoTokenizer.from_pretrained(folder))
        shortened = [same_ends(encoder, text, tokens) for text in texts for tokens in (1, 50, 200)]
        assert sum(shortened) >= len(texts)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("case", UNBROKEN)
@pytest.mark.parametrize("name", NAMES)
def test_so_has_text_without_a_place_to_cut(known: dict[str, TextEncoder], name: str, case: str) -> None:
    for text in (UNBROKEN[case], f"a fox {UNBROKEN[case]} a dog", UNBROKEN[case] + prose(1) + UNBROKEN[case]):
        same_ends(known[name], text, 20)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", CUT)
def test_a_text_that_spells_an_added_token_is_read_whole(known: dict[str, TextEncoder], name: str) -> None:
    encoder = known[name]
    spelled = encoder.tokenizer.all_special_tokens[0]
    text = f"{prose(3)} a {spelled} b {prose(4)}"
    assert encoder.long_texts.shortened(text, 10) == text
    assert encoder.long_texts.shortened(text.replace(spelled, "?"), 10) != text


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("truncate", ["end", "middle"])
@pytest.mark.parametrize("form", ["text", "compact", "encoder"])
@pytest.mark.parametrize("attention", ["causal", "block"])
@pytest.mark.parametrize(("context", "candidate"), [(400, None), (400, 30), (None, 30)])
def test_prompts_are_those_of_whole_texts(
    known: dict[str, TextEncoder],
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    attention: Any,
    truncate: Any,
    context: int | None,
    candidate: int | None,
) -> None:
    formats: dict[str, tuple[Any, TextEncoder]] = {
        "text": (TextFormat, known["chatml"]),
        "compact": (CompactFormat, known["bundled"]),
        "encoder": (EncoderFormat, TextEncoder(AutoTokenizer.from_pretrained(DEFAULT_MODEL))),
    }
    made, encoder = formats[form]
    prompt_format = made(encoder)
    texts = [prose(1), "a fox", prose(2, 60), UNBROKEN["lines"], prose(3)]
    limits = Limits(attention, context, candidate, restart=form == "encoder")
    queries: list[Any] = ["who?", ["an old film", prose(5), "a new film"], [prose(6), prose(7, 300)]]
    queries += [prose(8)] if limits.restart and context else []
    for query in queries:
        laid = [
            Assembler(prompt_format, Identifiers(prompt_format.encoder), limits, truncate).assemble(
                TEMPLATES["passage"], None, query, "select", texts, list(range(len(texts)))
            )
            for long in (200, 10**9)
            if monkeypatch.setattr(long_texts, "LONG", long) is None
        ]
        assert laid[0][0] == laid[1][0]
        told, counted = ({cut.index: cut for cut in cuts} for _, cuts in laid)
        assert told.keys() == counted.keys()
        for index, cut in told.items():
            assert cut.after == counted[index].after
            assert counted[index].counted
            assert cut.before <= counted[index].before
            assert cut.counted == (cut.before == counted[index].before)


def test_a_document_of_megabytes_takes_no_time(bundled: Any) -> None:
    prompt_format = CompactFormat(TextEncoder(bundled))
    identifiers, limits = Identifiers(prompt_format.encoder), Limits("block", 512, 128)
    text = "The committee met on Tuesday and spoke about parking. " * 150_000  # 8 MB
    took = []
    for documents in ([text], [text[:100_000]]):
        start = time.perf_counter()
        _, (cut,) = Assembler(prompt_format, identifiers, limits, "end").assemble(
            TEMPLATES["passage"], None, "who?", "select", documents, [0]
        )
        took.append(time.perf_counter() - start)
        assert cut.after == 128
    assert took[0] < 5 * took[1]  # eighty times as long


def test_under_error_tokens_are_counted(bundled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "LONG", 200)
    prompt_format, text = CompactFormat(TextEncoder(bundled)), prose(1)
    tokens = len(prompt_format.encoder.user(text)) + 2
    limits = Limits("block", 512, 30)
    assembler = Assembler(prompt_format, Identifiers(prompt_format.encoder), limits, "error")
    with pytest.raises(ValueError, match=f"candidate 0 takes {tokens} tokens where 30 fit"):
        assembler.assemble(TEMPLATES["passage"], None, "who?", "select", [text], [0])
