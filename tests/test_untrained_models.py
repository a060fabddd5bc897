"""Language models as they were pretrained: which method they get, and pointwise ones through `Ranker`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as t

import rranker
from rranker import Ranker
from rranker.methods import UNTRAINED, method_names
from rranker.prompts import TEMPLATES
from rranker.scorers.text import TextScorer
from rranker.training.policy.network import load_policy, save_policy
from tests.support.checkpoints import save_checkpoint, small_tokenizer
from tests.support.likelihoods import query_likelihoods
from tests.support.samples import QUERY, TEXTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("model"), "llama", small_tokenizer())


@pytest.fixture(scope="module")
def untrained(folder):
    with Ranker(folder, dtype="float32", kv_cache_tokens=4096) as ranker:
        yield ranker


def says(folder: Path, target: Path, **settings: object) -> Path:
    """A copy of the checkpoint whose config.json says these settings."""
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    config = json.loads((target / "config.json").read_text())
    config["rranker"] = settings
    (target / "config.json").write_text(json.dumps(config))
    return target


def test_a_model_that_was_not_trained_to_rank_gets_the_method_of_its_template(untrained, monkeypatch):
    assert set(UNTRAINED) == set(TEMPLATES)
    monkeypatch.setitem(UNTRAINED, "routing", "selection")
    monkeypatch.setitem(UNTRAINED, "recommendation", "pointwise")
    for template, method in UNTRAINED.items():
        assert untrained.rank(QUERY, TEXTS, template=template).method == method
    assert untrained.rank(["Heat", "Alien"], TEXTS).method == UNTRAINED["recommendation"]
    mixed = untrained.rank_batch([(QUERY, TEXTS), (["Heat"], TEXTS)], progress=False)
    assert [r.method for r in mixed] == [UNTRAINED["generic"], UNTRAINED["recommendation"]]


def test_whoever_names_a_method_gets_it(folder, untrained):
    for name in method_names():
        ranking = untrained.rank(QUERY, TEXTS, method=name)
        assert ranking.method == name
        assert sorted(ranking.order) == list(range(len(TEXTS)))
    with Ranker(folder, dtype="float32", method="dranker", kv_cache_tokens=4096) as ranker:
        assert ranker.rank(QUERY, TEXTS).method == "dranker"
        assert ranker.rank(QUERY, TEXTS, method="selection").method == "selection"
    assert rranker.rank(QUERY, TEXTS, model=folder, dtype="float32").method == UNTRAINED["generic"]


def test_trained_models_play_what_they_were_trained_for(folder, tmp_path):
    assert rranker.rank(QUERY, TEXTS).method == "iranker"  # the bundled model
    with Ranker(says(folder, tmp_path, method="selection"), dtype="float32") as ranker:
        assert ranker.rank(QUERY, TEXTS).method == "selection"


def test_a_method_nobody_knows_is_named_when_it_is_needed(folder, tmp_path):
    with (
        Ranker(says(folder, tmp_path, method="coinflip"), dtype="float32") as ranker,
        pytest.raises(ValueError, match="was trained for the method 'coinflip', which is not registered"),
    ):
        ranker.rank(QUERY, TEXTS)


def test_a_saved_policy_remembers_its_method(folder, tmp_path):
    policy = load_policy(folder, torch.float32)
    save_policy(policy, tmp_path / "saved", method="dranker")
    with Ranker(tmp_path / "saved", dtype="float32") as ranker:
        assert ranker.rank(QUERY, TEXTS).method == "dranker"


def test_query_likelihood_is_the_mean_log_probability_of_the_query(folder, untrained):
    tokenizer = t.AutoTokenizer.from_pretrained(folder)
    lm = t.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    means = query_likelihoods(lm, tokenizer, QUERY, TEXTS)
    ranking = untrained.rank(QUERY, TEXTS, template="passage")
    assert ranking.order == np.argsort(-means).tolist()
    weights = np.exp(means)
    np.testing.assert_allclose(ranking.rounds[0].probabilities, weights / weights.sum(), rtol=1e-4)


@pytest.mark.parametrize("method", ["pointwise", "query_likelihood"])
def test_pointwise_rankings_do_not_follow_the_input_order(untrained, method):
    for seed in range(5):
        move = np.random.default_rng(seed).permutation(len(TEXTS)).tolist()
        first = untrained.rank(QUERY, TEXTS, method=method).order
        again = untrained.rank(QUERY, [TEXTS[i] for i in move], method=method).order
        assert [move[i] for i in again] == first


def test_kept_keys_encode_every_candidate_once(folder, untrained):
    with Ranker(folder, dtype="float32", reuse="keep", method="iranker", kv_cache_tokens=4096) as ranker:
        kept = ranker.rank(QUERY, TEXTS)
    exact = untrained.rank(QUERY, TEXTS, method="iranker")
    assert kept.rounds[0].probabilities == pytest.approx(exact.rounds[0].probabilities, abs=1e-5)
    one_shot = untrained.rank(QUERY, TEXTS, method="dranker").stats.tokens_encoded
    assert kept.stats.tokens_encoded < 1.5 * one_shot < exact.stats.tokens_encoded
    with pytest.raises(ValueError, match="reuse must be one of None, 'exact', 'keep', not 'some'"):
        Ranker(folder, reuse="some")


def test_a_pointer_has_no_probabilities_of_tokens_to_read():
    for texts in (TEXTS, TEXTS[:1]):  # of one there is nothing to decide, and the setting is as wrong
        with pytest.raises(ValueError, match="query_likelihood reads the probability of words"):
            rranker.rank(QUERY, texts, method="query_likelihood")
    assert sorted(rranker.rank(QUERY, TEXTS, method="pointwise").order) == list(range(len(TEXTS)))


def test_an_empty_query_has_no_likelihood(untrained):
    with pytest.raises(ValueError, match="an empty query is as likely with any candidate"):
        untrained.rank("", TEXTS, method="query_likelihood")
    with pytest.raises(ValueError, match="an empty query"):
        untrained.rank([], TEXTS, method="query_likelihood")


def test_a_long_candidate_is_cut_to_what_the_model_reads_beside_the_question(tmp_path):
    folder = save_checkpoint(tmp_path, "llama", small_tokenizer(), max_position_embeddings=160)
    with Ranker(folder, dtype="float32", kv_cache_tokens=4096) as ranker:
        ranking = ranker.rank(QUERY, ["short", "long " * 400], method="query_likelihood")
    assert [(repair.kind, repair.index) for repair in ranking.repairs] == [("truncated", 1)]


def test_a_long_history_gives_way_from_its_oldest_end(tmp_path):
    folder = save_checkpoint(tmp_path, "llama", small_tokenizer(), max_position_embeddings=300)
    history = [f"the {i} fox" for i in range(200)]
    with Ranker(folder, dtype="float32", kv_cache_tokens=8192) as ranker:
        for method in ("query_likelihood", "pointwise", "iranker"):
            ranking = ranker.rank(history, ["the dog", "the fox"], method=method)
            assert [(repair.kind, repair.index) for repair in ranking.repairs] == [("truncated", None)]
    with (
        Ranker(folder, dtype="float32", truncate="error") as ranker,
        pytest.raises(ValueError, match="the history takes"),
    ):
        ranker.rank(history, ["the dog", "the fox"], method="query_likelihood")


def test_scorers_that_do_not_choose_a_method_eliminate():
    class Old(TextScorer):
        default_method = None  # as if it had never been written

        def complete(self, questions):
            return ["[1]"] * len(questions)

    assert Ranker(scorer=Old()).rank(QUERY, TEXTS).method == "iranker"
