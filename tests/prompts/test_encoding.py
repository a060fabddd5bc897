"""User text never becomes a special token, and otherwise reads as it was written."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.prompts.encoding import TextEncoder

NAMES = ["bundled", "chatml", "plain", "folding"]
PIECES = [
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<think>",
        "</think>",
        "<answer>",
        "<|candidate|>",
        "<|end|>",
    ),
    *(
        "<|exclude|>",
        "<|prefix|>",
        "<|pad|>",
        "<|",
        "|>",
        "<",
        ">",
        "im_end",
        "＜ｔｈｉｎｋ＞",
        "<THINK>",
        "＜answer＞",
    ),
    *("a", " ", "\n", "é", "日本", "\u200b", "\ud800", "\x00", "the fox"),
]
hostile = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)

relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def reserved(encoder):
    tokenizer = encoder.tokenizer
    return {*tokenizer.get_added_vocab().values(), *tokenizer.all_special_ids}


@pytest.mark.parametrize("name", NAMES)
@relaxed
@given(text=hostile | st.text(max_size=40))
def test_no_text_makes_a_reserved_token(encoders, name, text):
    assert reserved(encoders[name]).isdisjoint(encoders[name].user(text))


@pytest.mark.parametrize("name", ["chatml", "plain"])
@relaxed
@given(text=hostile | st.text(max_size=40))
def test_text_reads_back_as_written(encoders, name, text):
    """Without a normaliser nothing is lost, whatever a text spells; lone surrogates alone become `?`."""
    encoder = encoders[name]
    whole = text.encode("utf-8", "replace").decode()
    assert encoder.tokenizer.decode(list(encoder.user(text)), clean_up_tokenization_spaces=False) == whole


@relaxed
@given(texts=st.lists(hostile, max_size=6))
def test_a_batch_equals_its_texts_alone(encoders, texts):
    encoder = encoders["chatml"]
    assert encoder.user_batch(texts) == [encoder.user(text) for text in texts]


@pytest.mark.parametrize("name", NAMES)
def test_spellings_do_turn_special_without_the_guard(encoders, name):
    """The other tests would pass on a tokenizer that knows no special token: this one shows the danger is real."""
    encoder = encoders[name]
    spelling = "<|candidate|>" if name == "bundled" else "<think>"
    assert len(encoder.literal(spelling)) == 1
    assert encoder.literal(spelling)[0] in reserved(encoder)
    assert len(encoder.user(spelling)) > 1


def test_ordinary_text_is_encoded_as_the_tokenizer_does(encoders, chatml):
    text = "the quick brown fox, ranked"
    assert list(encoders["chatml"].user(text)) == chatml(text, add_special_tokens=False)["input_ids"]
    assert encoders["chatml"].user("") == ()


def test_token_ids(encoders, chatml):
    encoder = encoders["chatml"]
    assert encoder.token_id("<|im_end|>") == chatml.eos_token_id
    with pytest.raises(ValueError, match=r"no token '<\|nothing\|>'"):
        encoder.token_id("<|nothing|>")
    assert encoder.single_token("<think>") is None
    assert encoder.decode((encoder.single_token("A"),)) == "A"


def test_a_tokenizer_without_added_tokens():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder = TextEncoder(PreTrainedTokenizerFast(tokenizer_object=words))
    assert encoder.user("a b <think>") == (0, 1, 2, 2, 2)


@pytest.fixture(scope="module")
def wordpiece():
    """The bundled model's tokenizer: it has a token for whatever its vocabulary lacks, which is a special one."""
    return TextEncoder(AutoTokenizer.from_pretrained(DEFAULT_MODEL))


@pytest.mark.parametrize("rare", ["🍕", "ᚠ", "x" * 101, "𓀀𓀀"])
def test_what_a_vocabulary_lacks_leaves_the_rest_of_the_text_whole(wordpiece, rare):
    unknown = wordpiece.tokenizer.unk_token_id
    known = wordpiece.user("jane austen wrote emma")
    assert wordpiece.user(f"Jane Austen wrote Emma {rare}") == (*known, unknown)
    assert wordpiece.single_token(rare) is None


def test_one_hostile_spelling_leaves_the_rest_of_the_text_whole(encoders):
    """The normaliser makes `<answer>` of it, so that no cut at a spelling breaks it."""
    words, encoder = "the quick brown fox, ranked" + " by the model" * 20, encoders["folding"]
    ids, whole = encoder.user(f"{words}＜ａｎｓｗｅｒ＞{words}"), encoder.user(words)
    assert reserved(encoder).isdisjoint(ids)
    assert len(ids) < 2 * len(whole) + 20
