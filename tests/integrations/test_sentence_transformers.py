"""The shapes of sentence-transformers' CrossEncoder, and its own evaluator on them."""

from __future__ import annotations

from inspect import signature
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from rranker import Ranking
from rranker.integrations.sentence_transformers import RRankerCrossEncoder
from tests.support.samples import QUERY, TEXTS

PAIRS = [(QUERY, text) for text in TEXTS]


def test_rank_gives_places_scores_and_on_request_texts(ranker: Any, expected: Ranking) -> None:
    ranked = RRankerCrossEncoder(ranker).rank(QUERY, TEXTS, return_documents=True)
    assert [result["corpus_id"] for result in ranked] == expected.order
    assert [result["text"] for result in ranked] == [TEXTS[i] for i in expected.order]
    assert all(above["score"] > below["score"] for above, below in pairwise(ranked))
    best = RRankerCrossEncoder(ranker).rank(QUERY, TEXTS, top_k=2)
    assert [set(result) for result in best] == [{"corpus_id", "score"}] * 2


def test_rank_gives_as_many_as_its_own_setting_says_unless_the_call_says_otherwise(ranker: Any) -> None:
    model = RRankerCrossEncoder(ranker, top_k=2)
    assert len(model.rank(QUERY, TEXTS)) == 2
    assert len(model.rank(QUERY, TEXTS, top_k=3)) == 3


def test_predict_says_of_each_text_alone_how_relevant_it_is(ranker: Any) -> None:
    scores = RRankerCrossEncoder(ranker).predict(PAIRS)
    alone = [ranker.rank(QUERY, [text], template="passage", relevance=True)[0].relevance for text in TEXTS]
    assert scores.dtype == np.float32
    assert scores.tolist() == pytest.approx(alone, abs=1e-2)  # bfloat16: other rows share the pass
    assert RRankerCrossEncoder(ranker).predict(PAIRS[:2]).tolist() == pytest.approx(
        scores[:2].tolist(), abs=1e-2
    )


def test_predict_takes_one_pair_and_gives_tensors(ranker: Any) -> None:
    model = RRankerCrossEncoder(ranker)
    assert np.isscalar(model.predict(PAIRS[0]))
    assert model.predict(PAIRS[0], convert_to_tensor=True).shape == ()
    assert model.predict(PAIRS, convert_to_tensor=True).shape == (5,)
    assert all(isinstance(score, torch.Tensor) for score in model.predict(PAIRS, convert_to_numpy=False))
    assert model.predict([]).shape == (0,)
    with pytest.raises(ValueError, match="pass prompt=, not prompt_name='web'"):
        model.predict(PAIRS, prompt_name="web")  # type: ignore[arg-type]


def test_their_evaluator_runs_on_it(ranker: Any) -> None:
    pytest.importorskip(
        "sentence_transformers", reason="needs sentence-transformers: pip install sentence-transformers"
    )
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    class Evaluator(CrossEncoderRerankingEvaluator):
        def store_metrics_in_model_card_data(self, *_: Any) -> None:
            """There is no model card."""

    samples = [{"query": QUERY, "positive": [TEXTS[0], TEXTS[3]], "documents": TEXTS[1:] + TEXTS[:1]}]
    assert Evaluator(samples, write_csv=False)(RRankerCrossEncoder(ranker))["map"] == 1
    for name in ("rank", "predict"):
        theirs, ours = (
            list(signature(getattr(kind, name)).parameters) for kind in (CrossEncoder, RRankerCrossEncoder)
        )
        assert set(ours) <= set(theirs)


def test_beirs_own_second_stage_takes_it_as_its_model(ranker: Any) -> None:
    pytest.importorskip("beir", reason="needs BEIR: pip install beir")
    from beir.reranking import Rerank

    model = RRankerCrossEncoder(ranker)
    found = Rerank(model).rerank({"d": {"text": TEXTS[0]}}, {"q": QUERY}, {"q": {"d": 1.0}}, top_k=1)
    assert found == {"q": {"d": pytest.approx(float(model.predict(PAIRS[0])))}}


def test_an_activation_is_the_sigmoid_or_refused(ranker: Any) -> None:
    model = RRankerCrossEncoder(ranker)
    given = model.predict(PAIRS, activation_fn=torch.nn.Sigmoid())
    assert given.tolist() == pytest.approx(model.predict(PAIRS).tolist())
    with pytest.raises(ValueError, match=r"activation_fn=Identity\(\) is not there: .*torch.logit"):
        model.predict(PAIRS, activation_fn=torch.nn.Identity())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"methd": "iranker"}, TypeError, "a call has no setting 'methd'; did you mean 'method'"),
        ({"method": "iranked"}, ValueError, "iranked"),
        ({"window": 1}, ValueError, "window must be at least 2"),
        ({"threshold": "high"}, TypeError, "threshold"),
    ],
)
def test_wrong_settings_are_refused_before_the_first_call(
    ranker: Any, settings: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        RRankerCrossEncoder(ranker, **settings)
