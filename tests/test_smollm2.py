"""A pretrained model (SmolLM2-135M-Instruct) through everything: what it says alone, it says in the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as t

from rranker import Ranker
from rranker.methods import method_names
from rranker.prompts import PASSAGE
from tests.support.likelihoods import query_likelihoods
from tests.support.samples import QUERY, TEXTS

pytestmark = pytest.mark.pretrained
QUERIES = [
    (QUERY, TEXTS),
    (
        "what is the capital of France?",
        ["Paris is the capital of France.", "Bread is baked.", "Rome is old."],
    ),
    ("who wrote Emma?", ["It rained.", "Jane Austen wrote Emma in 1815."]),
]
METHODS = method_names()


@pytest.fixture(scope="module")
def ranker(smollm2):
    with Ranker(smollm2, dtype="float32", relayout="keep", kv_cache_tokens=4096) as made:
        yield made


@pytest.fixture(scope="module")
def alone(smollm2):
    """The same model in transformers, and its tokenizer."""
    lm = t.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    return lm.eval(), t.AutoTokenizer.from_pretrained(smollm2)


@torch.no_grad()
def letters_of(alone, alive):
    """The probabilities of the alive letters in a fresh forward of the whole prompt, as a chat user would write it."""
    lm, tokenizer = alone
    lines = "".join(f"[{'ABCDE'[i]}] {TEXTS[i]}\n" for i in alive)
    said = f"{PASSAGE.instruction}\n\n{PASSAGE.query_heading}{QUERY}\n\n{PASSAGE.list_heading}\n{lines}"
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": said}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(f"{prompt}{PASSAGE.worst}: [", add_special_tokens=False, return_tensors="pt").input_ids
    logits = lm(ids).logits[0, -1]
    return logits[[tokenizer.convert_tokens_to_ids("ABCDE"[i]) for i in alive]].softmax(-1).tolist()


def test_every_round_says_what_a_fresh_forward_says(ranker, alone):
    for decision in ranker.rank(QUERY, TEXTS, template="passage", method="iranker").rounds:
        np.testing.assert_allclose(decision.probabilities, letters_of(alone, decision.alive), atol=1e-4)


def test_query_likelihood_finds_what_answers(ranker, alone):
    query, texts = QUERIES[1]
    ranking = ranker.rank(query, texts, template="passage")
    assert ranking.method == "query_likelihood"
    assert ranking.order == np.argsort(-query_likelihoods(*alone, query, texts)).tolist()
    assert ranking.order[0] == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_ranks_as_each_alone(ranker, method):
    together = ranker.rank_batch(QUERIES, method=method, progress=False)
    for (query, texts), ranking in zip(QUERIES, together, strict=True):
        single = ranker.rank(query, texts, method=method)
        assert ranking.order == single.order
        for one, other in zip(ranking.rounds, single.rounds, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


@pytest.mark.parametrize("method", ["iranker", "tournament", "query_likelihood"])
def test_a_stream_has_the_rounds_of_the_ranking(ranker, method):
    stream = ranker.stream(QUERY, TEXTS, method=method)
    rounds, whole = list(stream), ranker.rank(QUERY, TEXTS, method=method)
    assert [played.alive for played in rounds] == [played.alive for played in whole.rounds]
    assert stream.ranking.order == whole.order


@pytest.mark.parametrize("settings", [{}, {"reuse": "keep"}, {"attention_mode": "block"}])
def test_guessing_changes_nothing(smollm2, settings):
    orders = []
    for speculate in (False, True):
        options = {"dtype": "float32", "kv_cache_tokens": 4096, "method": "iranker", **settings}
        with Ranker(smollm2, speculate=speculate, **options) as made:
            orders.append([ranking.order for ranking in made.rank_batch(QUERIES, progress=False)])
    assert orders[0] == orders[1]
