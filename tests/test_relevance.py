"""Relevance through `Ranker`: with the ranking's own states, by further questions, and never where it is not known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as t

from rranker import Ranker, Ranking
from rranker.calibration import Calibration
from rranker.engine.engine import Engine
from rranker.methods import Listwise
from rranker.request import make_request
from rranker.scorers.engine_logits import EngineScorer
from rranker.scorers.relevance import CONTENT_FREE
from rranker.training.calibrate.run import write_calibration
from rranker.training.policy.network import load_policy, save_policy
from tests.support.checkpoints import TINY_START, save_checkpoint, small_tokenizer
from tests.support.likelihoods import query_likelihoods
from tests.support.samples import QUERY, TEXTS
from tests.support.toys import save_encoder_policy

PASSAGE = Calibration(2.0, -41.6)  # where the tiny encoder of these tests has its scores
LIKELY = Calibration(3.0, 20.0, "query_likelihood")


def ranker_of(model: Any, calibration: dict[str, Calibration], **settings: Any) -> Ranker:
    """`calibration` in place of the checkpoint's own."""
    engine = Engine.load(model, dtype=torch.float32, kv_cache_tokens=8192, **settings)
    return Ranker(scorer=EngineScorer(engine, calibration=calibration))


def by_text(ranking: Ranking) -> dict[str, float | None]:
    return {item.text: item.relevance for item in ranking}


def assert_monotone(ranking: Ranking) -> None:
    values = [item.relevance for item in ranking]
    assert all(a is not None and b is not None and 1 >= a >= b >= 0 for a, b in pairwise(values))
    made = ranking.to_dict()
    assert [item["relevance"] for item in json.loads(json.dumps(made))["items"]] == values


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_encoder_policy(tmp_path_factory.mktemp("encoder"))
    write_calibration(folder, {"passage": PASSAGE})
    return folder


@pytest.fixture(scope="module")
def pointer(encoder: Path) -> Iterator[Ranker]:
    with Ranker(encoder, dtype="float32", kv_cache_tokens=8192) as ranker:
        yield ranker


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("lm"), "llama", small_tokenizer())


@pytest.mark.parametrize("method", ["iranker", "dranker", "selection", "pointwise"])
def test_a_pointer_gives_it_with_every_method_and_it_never_rises_with_rank(
    pointer: Ranker, method: str
) -> None:
    ranking = pointer.rank(QUERY, TEXTS, method=method)
    assert_monotone(ranking)
    assert "relevance 0." in repr(ranking)
    assert pointer.rank(QUERY, TEXTS, method=method, relevance=False).order == ranking.order


def test_a_pointers_relevance_costs_nothing(pointer: Ranker) -> None:
    with_it, without = (pointer.rank(QUERY, TEXTS, relevance=wanted) for wanted in (None, False))
    assert with_it.stats == without.stats
    assert {item.relevance for item in without} == {None}


def test_it_is_the_candidates_own_until_the_ranking_pools_it(pointer: Ranker) -> None:
    """A list of one pools nothing, so it says what each is worth alone."""
    alone = {text: by_text(pointer.rank(QUERY, [text]))[text] for text in TEXTS}
    for texts in (TEXTS, TEXTS[1:4], TEXTS[::-1]):
        ranking = pointer.rank(QUERY, texts)
        own = [alone[item.text] for item in ranking]
        found = [item.relevance for item in ranking]
        assert sum(found) == pytest.approx(sum(own), abs=1e-5)  # type: ignore[arg-type]
        for rank, (item, value) in enumerate(zip(ranking, own, strict=True)):
            unpooled = all(a > value > b for a in own[:rank] for b in own[rank + 1 :])  # type: ignore[operator]
            assert not unpooled or item.relevance == pytest.approx(value, abs=1e-5)
    assert max(alone.values()) - min(alone.values()) > 0.01  # type: ignore[operator, type-var]


def test_a_batch_says_what_each_query_says_alone(pointer: Ranker) -> None:
    queries = [(QUERY, TEXTS), ("green fox", TEXTS[:1]), ("river", TEXTS[2:]), ("none", [])]
    together = pointer.rank_batch(queries, threshold=0.5, progress=False)
    for (query, texts), ranking in zip(queries, together, strict=True):
        alone = pointer.rank(query, texts, threshold=0.5)
        assert by_text(ranking) == pytest.approx(by_text(alone), abs=1e-5)
        assert [item.text for item in ranking.kept] == [item.text for item in alone.kept]
        assert len(ranking) == len(texts)


def test_a_threshold_keeps_the_beginning_and_the_ranking_stays_whole(pointer: Ranker) -> None:
    ranking = pointer.rank(QUERY, TEXTS)
    middle = (float(ranking[1].relevance or 0) + float(ranking[2].relevance or 0)) / 2
    cut = pointer.rank(QUERY, TEXTS, threshold=middle)
    assert cut.order == ranking.order
    assert cut.kept == cut[: len(cut.kept)]
    assert {item.relevance >= middle for item in cut.kept} <= {True}  # type: ignore[operator]
    assert f"{len(cut.kept)} of relevance {middle:g} or more" in repr(cut)
    assert cut.to_dict()["threshold"] == middle
    assert pointer.rank(QUERY, TEXTS, threshold=0).kept == list(ranking)


def test_equal_texts_share_it_and_weigh_as_one(pointer: Ranker) -> None:
    once, thrice = pointer.rank(QUERY, TEXTS), pointer.rank(QUERY, [*TEXTS, TEXTS[0], TEXTS[0]])
    shared = {item.relevance for item in thrice if item.text == TEXTS[0]}
    assert len(shared) == 1
    assert by_text(thrice) == pytest.approx(by_text(once), abs=1e-5)


def test_causal_attention_reads_it_of_candidates_shown_alone() -> None:
    calibration = {"passage": Calibration(0.3, 3.0)}
    with (
        ranker_of(TINY_START, calibration, attention_mode="causal") as causal,
        ranker_of(TINY_START, calibration) as block,
    ):
        one = {text: by_text(block.rank(QUERY, [text]))[text] for text in TEXTS}
        for text in TEXTS:
            assert by_text(causal.rank(QUERY, [text], relevance=True))[text] == pytest.approx(
                one[text], abs=1e-5
            )
        unasked, asked = (causal.rank(QUERY, TEXTS, relevance=wanted) for wanted in (None, True))
    assert unasked[0].relevance is None
    assert_monotone(asked)
    assert asked.order == unasked.order
    assert asked.stats.tokens_encoded > unasked.stats.tokens_encoded


@pytest.mark.parametrize("content_free", [False, True])
@pytest.mark.parametrize("method", ["query_likelihood", "iranker", "pointwise"])
def test_a_language_model_is_asked_what_its_calibration_names(
    language_model: Path, method: str, content_free: bool
) -> None:
    lm = t.AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.float32)
    scores = query_likelihoods(lm, small_tokenizer(), QUERY, [*TEXTS, CONTENT_FREE])
    curve = Calibration(3.0, 0.0 if content_free else 20.0, "query_likelihood", content_free)
    base = scores[-1] if content_free else 0.0
    with ranker_of(language_model, {"passage": curve}) as ranker:
        for text, score in zip(TEXTS, scores, strict=False):
            found = ranker.rank(QUERY, [text], template="passage", method=method, relevance=True)
            assert found[0].relevance == pytest.approx(curve.probability(score - base), abs=1e-4)
            assert found.stats.forward_passes == 1
        ranking = ranker.rank(QUERY, TEXTS, template="passage", method=method, relevance=True)
    assert_monotone(ranking)
    if method == "query_likelihood":  # ranked by the very number: nothing is pooled
        expected = {text: curve.probability(s - base) for text, s in zip(TEXTS, scores, strict=False)}
        assert by_text(ranking) == pytest.approx(expected, abs=1e-4)


def test_a_language_model_is_asked_no_more_than_it_has_to_be(language_model: Path) -> None:
    with ranker_of(language_model, {"passage": LIKELY}) as ranker:
        for method, free in (("query_likelihood", True), ("dranker", False)):
            unasked, asked, left_out = (
                ranker.rank(QUERY, TEXTS, template="passage", method=method, relevance=wanted)
                for wanted in (None, True, False)
            )
            assert (unasked[0].relevance is not None) is free
            assert (asked.stats == left_out.stats) is free
            assert unasked.stats == left_out.stats
            assert asked.order == left_out.order
        assert ranker.rank(QUERY, TEXTS[:1], template="passage")[0].relevance is None


def test_a_rankers_own_setting_gives_way_to_the_calls(language_model: Path) -> None:
    engine = Engine.load(language_model, dtype=torch.float32, kv_cache_tokens=8192)
    scorer = EngineScorer(engine, calibration={"passage": LIKELY})
    for own, wanted, given in ((True, None, True), (True, False, False), (False, None, False)):
        found = Ranker(scorer=scorer, relevance=own).rank(QUERY, TEXTS, method="dranker", relevance=wanted)
        assert (found[0].relevance is not None) is given
    assert Ranker(scorer=scorer, relevance=False).rank(QUERY, TEXTS, threshold=0.0).kept
    with pytest.raises(ValueError, match="relevance must be one of None, True, False, not 'yes'"):
        Ranker(scorer=scorer, relevance="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [{"relevance": True}, {"threshold": 0.5}])
def test_a_model_without_calibration_says_how_to_get_one(asked: Any, pointer: Ranker) -> None:
    said = r"was not calibrated for the template 'recommendation'.*python -m rranker\.training\.calibrate"
    for candidates in (TEXTS, []):
        with pytest.raises(ValueError, match=said):
            pointer.rank(["Heat", "Alien"], candidates, **asked)
    assert pointer.rank(["Heat"], TEXTS)[0].relevance is None
    good, bad = pointer.rank_batch([(QUERY, TEXTS), (["Heat"], TEXTS)], on_error="return", **asked)
    assert isinstance(good, Ranking)
    assert str(bad).startswith("queries[1]")


def test_wrong_settings_of_a_call_are_named(pointer: Ranker) -> None:
    for wrong, kind, message in (
        ({"threshold": 1.5}, ValueError, "threshold must be a number from 0 to 1, not 1.5"),
        ({"threshold": "high"}, TypeError, "threshold must be a number from 0 to 1, not 'high'"),
        ({"relevance": 1}, TypeError, "relevance must be True, False or None, not 1"),
        ({"relevance": False, "threshold": 0.5}, ValueError, "relevance=False leaves it out"),
    ):
        with pytest.raises(kind, match=message):
            pointer.rank(QUERY, TEXTS, **wrong)  # type: ignore[arg-type]


def test_what_was_cut_to_ask_further_is_reported_once(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, "llama", small_tokenizer(), max_position_embeddings=200)
    with ranker_of(folder, {"generic": LIKELY}) as ranker:
        for texts in (["long " * 400], ["long " * 400, "short"]):
            ranking = ranker.rank(QUERY, texts, method="dranker", relevance=True)
            assert [(repair.kind, repair.index) for repair in ranking.repairs] == [("truncated", 0)]


def test_trained_weights_do_not_keep_a_calibration_of_others(language_model: Path, tmp_path: Path) -> None:
    policy = load_policy(language_model, torch.float32)
    policy = replace(policy, settings=replace(policy.settings, calibration={"passage": LIKELY}))
    save_policy(policy, tmp_path / "trained", method="dranker")
    entry = json.loads((tmp_path / "trained/config.json").read_text())["rranker"]
    assert (entry["method"], entry["calibration"]) == ("dranker", None)


def test_own_scores_of_many_candidates_come_back_to_their_own_texts() -> None:
    """In block attention candidates are laid out by a hash."""
    texts = [f"{text} {i}" for i in range(4) for text in TEXTS]
    engine = Engine.load(TINY_START, dtype=torch.float32, kv_cache_tokens=8192)
    scorer = EngineScorer(engine, calibration={"passage": PASSAGE})
    found = dict[str, float]()
    for chosen in (texts, *([text] for text in texts)):
        request = make_request(QUERY, chosen)
        (job,) = [job for job in scorer.play([scorer.prepare(request, Listwise)]) if job and job.done]
        read = {
            request.candidates[group[0]].text: score
            for group, score in zip(job.groups, job.pointwise_scores, strict=True)
        }
        if found:
            assert read == {chosen[0]: pytest.approx(found[chosen[0]], abs=1e-4)}
        found = found or read
    assert len(found) == len(texts)
    assert np.ptp(list(found.values())) > 0.1
