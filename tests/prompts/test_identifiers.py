"""Identifiers are distinct, single, ordinary tokens, whatever the vocabulary."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rranker.prompts.encoding import TextEncoder
from rranker.prompts.identifiers import Identifiers, spellings


def test_the_plainest_come_first(encoders):
    encoder = encoders["chatml"]
    found = Identifiers(encoder).first(26)
    assert [encoder.decode((i,)) for i in found] == [chr(65 + i) for i in range(26)]


def test_they_are_single_distinct_tokens_and_stay_the_same(encoders):
    encoder = encoders["chatml"]
    identifiers = Identifiers(encoder)
    sixty = identifiers.first(60)
    assert len(set(sixty)) == 60
    assert identifiers.first(5) == sixty[:5]
    spelled = [encoder.decode((i,)) for i in sixty]
    assert all(encoder.literal(text) == (i,) for text, i in zip(spelled, sixty, strict=True))


def test_a_label_that_is_no_single_token_is_passed_over():
    """This vocabulary lacks B, and folds lower case: `a` is the token of `A` again and must not be given twice."""
    from tokenizers import normalizers

    words = Tokenizer(models.WordLevel({"?": 0, "a": 1, "c": 2, "aa": 3, "7": 4}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.normalizer = normalizers.Lowercase()
    encoder = TextEncoder(PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?"))
    assert Identifiers(encoder).first(4) == (1, 2, 3, 4)
    with pytest.raises(ValueError, match=r"only 4 single-token identifiers, 5 candidates"):
        Identifiers(encoder).first(5)


def test_labels_never_repeat():
    every = list(spellings())
    assert len(every) == len(set(every)) > 18_000
    assert every[:26] == [chr(65 + i) for i in range(26)]


def test_threads_that_ask_first_together_find_the_same_ones(encoders):
    expected, together = Identifiers(encoders["chatml"]).first(60), Barrier(8)
    for _ in range(10):
        shared = Identifiers(encoders["chatml"])

        def ask(_: int, shared: Identifiers = shared) -> tuple[int, ...]:
            together.wait()
            return shared.first(60)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(8))) == {expected}
