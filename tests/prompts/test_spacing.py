"""A prompt laid in segments is written as the tokenizer would write it whole, and the guard stands."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rranker.prompts import TEMPLATES
from rranker.prompts.text import TextFormat

NAMES = ["bytes", "modern", "metaspace", "legacy", "gemma"]
TEXTS = ["the lazy dog.", "a quick fox", "(who?)", "  two spaces", "the end. ", "\nbroken\nlines\n", "é 日本"]
QUERY, HISTORY = "who is the fox?", ["the quick fox.", "(a) dog"]
SPELLINGS = ["<think>", "</think>", "<s>", "</s>", "<|endoftext|>", "<unk>"]
hostile = st.lists(
    st.sampled_from([*SPELLINGS, "<", ">", "think", "/", " ", "\n", "] ", ":", "é", "日本", "fox", "."]),
    max_size=8,
).map("".join)
relaxed = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def letters(encoder, n):
    return [encoder.single_token(chr(65 + i)) for i in range(n)]


def natural(encoder, text):
    """What the tokenizer writes for the whole text."""
    return tuple(encoder.tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("query", [QUERY, HISTORY], ids=["query", "history"])
@pytest.mark.parametrize("instruction", [None, "Rank the dogs."])
def test_segments_are_written_as_the_whole_prompt_would_be(spaced, name, template, query, instruction):
    encoder, template = spaced[name], TEMPLATES[template]
    prompt_format = TextFormat(encoder)
    heading = template.query_heading if query is QUERY else template.history_heading + "\n"
    said = QUERY if query is QUERY else "".join(f"- {title}\n" for title in HISTORY)[:-1]
    lines = "".join(f"[{chr(65 + i)}] {text}\n" for i, text in enumerate(TEXTS))
    words = instruction or template.instruction
    whole = f"{words}\n\n{heading}{said}\n\n{template.list_heading}\n{lines}{template.worst}: ["
    pieces = [
        prompt_format.prefix(template, instruction, query),
        *prompt_format.candidates(TEXTS, letters(encoder, len(TEXTS))),
    ]
    ids = tuple(i for piece in pieces for i in piece.ids) + prompt_format.suffix(template, "exclude")
    assert ids == (encoder.tokenizer.bos_token_id, *natural(encoder, whole))


@pytest.mark.parametrize("name", NAMES)
def test_the_words_carry_the_space_before_them(spaced, name):
    """No literal ends in a space of its own: the first word is the token that it is inside a sentence."""
    encoder = spaced[name]
    prompt_format, fox = TextFormat(encoder), natural(encoder, "dog fox")[-1]
    piece = prompt_format.candidates(["fox"], letters(encoder, 1))[0]
    assert piece.body == (fox,)
    assert (encoder.decode(piece.head).lstrip(), encoder.decode(piece.tail)) == ("[A]", "\n")
    for template in TEMPLATES.values():
        for instruction in (None, "Rank."):
            assert prompt_format.prefix(template, instruction, "fox").body == (fox,)


def test_a_template_that_ends_in_a_space_gives_it_to_the_instruction(spaced):
    encoder = spaced["modern"]
    for words in ("Rank the dogs.", "<think>"):
        piece = encoder.framed("[INST] ", [words], "\n\nQuery:")[0]
        assert encoder.decode(piece.head) == "[INST]"
        assert encoder.decode(piece.ids) == f"[INST] {words}\n\nQuery:"


def test_the_templates_own_instruction_passed_by_hand_is_the_same_prompt(spaced):
    for encoder in spaced.values():
        prompt_format = TextFormat(encoder)
        for template in TEMPLATES.values():
            for query in (QUERY, HISTORY):
                by_hand = prompt_format.prefix(template, template.instruction, query)
                assert by_hand.ids == prompt_format.prefix(template, None, query).ids


@pytest.mark.parametrize("name", ["metaspace", "legacy", "gemma"])
def test_a_label_is_the_letter_without_a_space(spaced, name):
    encoder = spaced[name]
    assert encoder.tokenizer.convert_ids_to_tokens(letters(encoder, 3)) == ["A", "B", "C"]


@pytest.mark.parametrize("name", NAMES)
@relaxed
@given(text=hostile | st.text(max_size=30))
def test_no_text_between_literals_makes_a_reserved_token(spaced, name, text):
    encoder = spaced[name]
    tokenizer = encoder.tokenizer
    reserved = {*tokenizer.get_added_vocab().values(), *tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    piece = TextFormat(encoder).candidates([text], letters(encoder, 1))[0]
    assert reserved.isdisjoint(piece.ids)
    prefix = TextFormat(encoder).prefix(TEMPLATES["passage"], text, text)
    assert [i for i in prefix.ids if i in reserved] == [tokenizer.bos_token_id]


@pytest.mark.parametrize("name", ["bytes", "modern", "gemma"])
@relaxed
@given(text=hostile | st.text(max_size=30).filter(lambda text: "▁" not in text))
def test_a_line_reads_back_as_written(spaced, name, text):
    """Also where a spelling was broken: nothing is lost and no space is added."""
    encoder = spaced[name]
    piece = TextFormat(encoder).candidates([text], letters(encoder, 1))[0]
    written = text.encode("utf-8", "replace").decode()
    gap = " " if text else ""
    read = encoder.tokenizer.decode(list(piece.ids), clean_up_tokenization_spaces=False)
    assert read == f"[A]{gap}{written}\n"


@relaxed
@given(texts=st.lists(hostile, max_size=6))
def test_a_batch_equals_its_texts_alone(spaced, texts):
    for encoder in spaced.values():
        together = encoder.framed("] ", texts, "\n", inside=True)
        assert together == [encoder.framed("] ", [text], "\n", inside=True)[0] for text in texts]


def test_a_text_that_spells_a_special_token_gains_no_space(spaced):
    """SentencePiece's tokenizers open every piece with a space; the halves of a broken spelling are not opened."""
    for name in ("metaspace", "legacy", "gemma"):
        encoder = spaced[name]
        piece = TextFormat(encoder).candidates(["the <think> fox"], letters(encoder, 1))[0]
        assert encoder.decode(piece.ids).lstrip() == "[A] the <think> fox\n"


def test_a_tail_that_shares_a_token_with_the_text_stays_whole(spaced):
    """`dog.⏎` ends in one token: a cut leaves it, so that the line still ends."""
    encoder = spaced["modern"]
    piece = TextFormat(encoder).candidates(["the lazy dog."], letters(encoder, 1))[0]
    assert encoder.decode(piece.tail) == ".\n"
    assert encoder.decode(piece.body) == " the lazy dog"
