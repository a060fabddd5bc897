"""Documents that are too long are cut, or ranked by their parts, whose best one is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from rranker import Ranker
from rranker.methods import Decision, Elimination, Selection
from rranker.methods.parts import Parts
from tests.scorers.test_text import Scripted, honest
from tests.support.samples import QUERY, TEXTS

FILLER = "The committee met on Tuesday and spoke about parking. " * 80
HIDDEN = f"{FILLER}{TEXTS[0]} {FILLER}"


@pytest.fixture(scope="module")
def ranker() -> Iterator[Ranker]:
    with Ranker(dtype="float32") as made:
        yield made


def test_the_best_part_decides_and_is_reported(ranker: Ranker) -> None:
    documents = [FILLER, HIDDEN, TEXTS[1], "Shares fell."]
    cut = ranker.rank(QUERY, documents)
    whole = ranker.rank(QUERY, documents, long_text="chunk")
    assert [item.span for item in cut] == [None] * 4
    assert whole[0].index == 1
    assert whole[0].relevance > max(item.relevance for item in cut)  # what was cut away is what fits
    begin, end = whole[0].span
    assert TEXTS[0] in HIDDEN[begin:end]
    assert end - begin < 1500
    spans = {item.index: item.span for item in whole}
    assert (spans[2], spans[3]) == ((0, len(TEXTS[1])), (0, 12))
    assert {(r.kind, r.index) for r in whole.repairs} == {("chunked", 0), ("chunked", 1)}
    assert whole.to_dict()["items"][0]["span"] == [begin, end]
    gone = [index for played in whole.rounds for index in played.excluded]
    assert len(set(gone)) == len(gone) >= 3
    assert all(sum(played.probabilities) == pytest.approx(1) for played in whole.rounds)


def test_streams_batches_and_methods_by_parts(ranker: Ranker) -> None:
    documents = [FILLER[:4000], HIDDEN, TEXTS[1], TEXTS[1]]
    for method in ("iranker", "dranker", "selection"):
        expected = ranker.rank(QUERY, documents, method=method, long_text="chunk", window=16)
        assert sorted(expected.order) == [0, 1, 2, 3]
        assert expected[0].index == 1
        stream = ranker.stream(QUERY, documents, method=method, long_text="chunk", window=16)
        assert (tuple(stream), stream.ranking) == (expected.rounds, expected)
    found = asyncio.run(
        ranker.arank_batch([(QUERY, documents), (QUERY, TEXTS)], long_text="chunk", progress=False)
    )
    assert found[0].order == ranker.rank(QUERY, documents, long_text="chunk").order
    assert found[1] == ranker.rank(QUERY, TEXTS)  # nothing is long: as without


@pytest.mark.parametrize("method", ["iranker", "selection", "tournament"])
def test_the_best_documents_are_those_of_all_parts_in_fewer_rounds(ranker: Ranker, method: str) -> None:
    documents = [f"{FILLER[: 400 * size]} {text} {size}" for size in (1, 4, 2) for text in TEXTS]
    asked = {"method": method, "long_text": "chunk"}
    whole = ranker.rank(QUERY, documents, **asked)
    best = ranker.rank(QUERY, documents, top_k=3, **asked)
    assert best.order[:3] == whole.order[:3]
    assert [item.span for item in best[:3]] == [item.span for item in whole[:3]]
    assert sorted(best.order) == sorted(whole.order)
    assert len(best.rounds) < len(whole.rounds)
    average = ranker.rank(QUERY, documents, top_k=3, aggregate="mean", **asked)
    assert average.order == ranker.rank(QUERY, documents, aggregate="mean", **asked).order


def test_texts_that_fit_and_no_texts_are_as_without(ranker: Ranker) -> None:
    assert ranker.rank(QUERY, [], long_text="chunk").order == []
    assert ranker.rank(QUERY, ["", " "], long_text="chunk").repairs == ()
    for name in ("long_text", "aggregate"):
        with pytest.raises(ValueError, match=f"{name} must be one of"):
            ranker.rank(QUERY, TEXTS, **{name: "sometimes"})


def test_answers_in_words_rank_parts_of_200_words() -> None:
    with Ranker(scorer=Scripted(honest_part)) as ranker:
        ranking = ranker.rank("worth most?", ["lead", "iron " * 250 + "gold", "silver"], long_text="chunk")
    assert ranking[0].index == 1
    assert ranking[0].span == (1000, 1254)


def honest_part(question: object) -> str:
    from dataclasses import replace

    words = tuple(text.split()[-1] for text in question.texts)  # type: ignore[attr-defined]
    return honest(replace(question, texts=words))  # type: ignore[type-var]


@pytest.mark.parametrize("aggregate", ["max", "mean"])
@pytest.mark.parametrize("method", [Elimination, Selection])
def test_documents_take_the_maximum_or_mean_of_their_parts(aggregate: str, method: type) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        owners = [*range(4), *rng.integers(0, 4, 8).tolist()]
        order = rng.permutation(12).tolist()
        kept = rng.random(12).tolist()
        parts = Parts(method, owners, aggregate)  # type: ignore[arg-type]
        named = order[:0:-1] if method is Elimination else order[:-1]
        alive = list(range(12))
        for part in named:
            parts.decide(Decision(tuple(alive), (part,), (1 / len(alive),) * len(alive)))
            alive.remove(part)
        with pytest.raises(ValueError, match="still to be played"):
            parts.outcome()
        parts.end([(part,) for part in order], kept)
        score = {part: (12 - rank + kept[rank - 1]) / 12 for rank, part in enumerate(order, start=1)}
        by_document = [[score[part] for part in range(12) if owners[part] == d] for d in range(4)]
        worth = [max(found) if aggregate == "max" else sum(found) / len(found) for found in by_document]
        assert list(parts.outcome().order) == sorted(range(4), key=lambda d: -worth[d])
        assert parts.best == [max((p for p in range(12) if owners[p] == d), key=score.get) for d in range(4)]
        told = [document for decision in parts.decisions for document in decision.named]
        assert len(told) == len(set(told))
