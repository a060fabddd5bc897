"""Lists that do not fit are ranked window by window: always all of them, and what was done is said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rranker import CapacityError, Ranker, Ranking
from tests.scorers.test_text import TEXTS as METALS
from tests.scorers.test_text import VALUE, Scripted, honest
from tests.support.checkpoints import edit
from tests.support.samples import QUERY, TEXTS

MANY = [f"{text} {i}" for i in range(12) for text in TEXTS]
BEST = (TEXTS[0], TEXTS[3], "Scouts find flowers far away.")
APART = [f"{text} {i}" for i in range(19) for text in (TEXTS[1], TEXTS[2], TEXTS[4])]
APART[20:20], APART[40:40] = BEST[:1], BEST[1:]
"""Sixty, of which three speak of flowers, each otherwise: nobody is level with them."""
SLOTS = 512


@pytest.fixture(scope="module")
def small() -> Iterator[Ranker]:
    """The bundled model, with room for about 25 candidates."""
    with Ranker(dtype="float32", kv_cache_tokens=SLOTS) as ranker:
        yield ranker


@pytest.fixture(scope="module")
def large() -> Iterator[Ranker]:
    with Ranker(dtype="float32") as ranker:
        yield ranker


def told(ranking: Ranking) -> str:
    (repair,) = [repair for repair in ranking.repairs if repair.kind == "windowed"]
    return repair.message


def test_a_list_beyond_the_cache_is_ranked_and_its_top_k_is_that_of_the_whole(
    small: Ranker, large: Ranker
) -> None:
    ranking = small.rank(QUERY, APART, top_k=3)
    assert sorted(ranking.order) == list(range(60))
    assert "KV tokens" in told(ranking)
    whole = large.rank(QUERY, APART, top_k=3)
    assert whole.repairs == ()
    assert {item.text for item in whole.top(3)} == set(BEST)
    assert ranking.order[:3] == whole.order[:3]
    assert {i.index: i.relevance for i in ranking[:3]} == pytest.approx(
        {i.index: i.relevance for i in whole[:3]}
    )
    gone = [index for played in ranking.rounds for index in played.excluded]
    assert len(gone) == len(set(gone)) == 59
    assert ranking.stats.tokens_encoded < ranking.stats.tokens_naive


def test_windows_do_not_depend_on_the_input_order(small: Ranker) -> None:
    first = small.rank(QUERY, MANY, window=8)
    second = small.rank(QUERY, MANY[::-1], window=8)
    assert [item.text for item in first] == [item.text for item in second]
    assert [item.score for item in first] == [item.score for item in second]


def test_a_window_is_a_setting_and_equal_texts_are_one(large: Ranker) -> None:
    ranking = large.rank(QUERY, [*MANY, *MANY[:7]], window=10, top_k=5)
    assert all(len({MANY[i % 60] for i in played.alive}) <= 10 for played in ranking.rounds)
    assert "60 candidates are more than the window of 10" in told(ranking)
    assert "too early" not in told(ranking)
    assert [item.text for item in ranking if item.index in (0, 60)] == [MANY[0]] * 2
    far = large.rank(QUERY, MANY, window=4, top_k=5)
    assert "the best 5 may have met too early: a window of 10" in told(far)
    assert large.rank(QUERY, MANY, window=60).repairs == ()
    for wrong, error in ((1, ValueError), (2.5, TypeError)):
        with pytest.raises(error, match="window"):
            large.rank(QUERY, MANY, window=wrong)  # type: ignore[arg-type]


def test_streams_and_batches_mix_lists_that_fit_and_others(small: Ranker) -> None:
    queries: list[Any] = [(f"{QUERY} {n}", MANY[:n]) for n in (3, 60, 0, 40)]
    alone = [small.rank(*query, relevance=True) for query in queries]
    assert [r.order for r in small.rank_batch(queries, progress=False)] == [r.order for r in alone]
    stream = small.stream(QUERY + " 60", MANY, relevance=True)
    assert tuple(stream) == alone[1].rounds
    assert stream.ranking == alone[1]
    assert asyncio.run(small.arank(QUERY + " 60", MANY, relevance=True)) == alone[1]
    stream = small.stream(QUERY, MANY)
    next(stream)
    stream.close()
    assert small._scorer.engine.runner.kv_cache.allocator.free == SLOTS  # type: ignore[attr-defined]


def test_long_contexts_and_few_identifiers_are_windows_too(folder: Path) -> None:
    """A language model that names candidates: more than it has names for, then more than 32 tokens of each fill."""
    with Ranker(folder, dtype="float32") as ranker:
        ranking = ranker.rank(QUERY, [f"item {i}" for i in range(400)], method="dranker")
        assert sorted(ranking.order) == list(range(400))
        assert "single-token identifiers" in told(ranking)
    edit("config.json", max_position_embeddings=400)(folder)
    texts = [f"{i} " + "bees and flowers " * 20 for i in range(20)]
    with Ranker(folder, dtype="float32") as ranker:
        ranking = ranker.rank(QUERY, texts, method="dranker")
        assert sorted(ranking.order) == list(range(20))
        assert "fit in the context" in told(ranking)
        cut = [repair for repair in ranking.repairs if repair.kind == "truncated"]
        assert {repair.index for repair in cut} == set(range(20))
        assert all(f"candidate {repair.index} was" in repair.message for repair in cut)
    short = [f"{i} bees and flowers" for i in range(40)]
    with Ranker(folder, truncate="error") as ranker:
        assert [repair.kind for repair in ranker.rank(QUERY, short, method="dranker").repairs] == ["windowed"]


def test_answers_in_words_are_asked_in_windows() -> None:
    scorer = Scripted(honest)
    with Ranker(scorer=scorer) as ranker:
        ranking = ranker.rank("worth most?", METALS[::-1], window=3, top_k=1)
    assert ranking[0].text == max(METALS, key=VALUE.__getitem__)
    assert {len(question.texts) for asked in scorer.rounds for question in asked} <= {2, 3}


def test_what_two_candidates_do_not_fit_is_refused() -> None:
    with Ranker(kv_cache_tokens=16) as ranker, pytest.raises(CapacityError, match="kv_cache_tokens"):
        ranker.rank(QUERY, TEXTS * 3)


def test_an_error_in_one_window_is_the_querys_and_said_once(small: Ranker, monkeypatch: Any) -> None:
    def answer(question: Any) -> str | Exception:
        return TimeoutError("slow") if "tin" in question.texts else honest(question)

    with Ranker(scorer=Scripted(answer)) as ranker:
        queries = [("q", METALS), ("q", METALS[:5])]
        found = ranker.rank_batch(queries, window=2, progress=False, on_error="return")
    assert isinstance(found[0], TimeoutError)
    assert isinstance(found[1], Ranking)


@pytest.mark.pretrained
def test_a_real_language_model_ranks_windows_and_parts(smollm2: Path) -> None:
    document = f"{'The committee met on Tuesday and spoke about parking. ' * 60}{TEXTS[0]}"
    with Ranker(smollm2, kv_cache_tokens=2048) as ranker:
        ranking = ranker.rank(QUERY, MANY[:24], method="dranker", window=8, top_k=2, template="passage")
        assert sorted(ranking.order) == list(range(24))
        assert "24 candidates are more than the window of 8" in told(ranking)
        likely = ranker.rank(QUERY, [document, TEXTS[1], *MANY[:60:5]], long_text="chunk", template="passage")
        assert sorted(likely.order) == list(range(14))
        assert likely.method == "query_likelihood"
        begin, end = next(item.span for item in likely if item.index == 0) or (0, 0)
        assert TEXTS[0] in document[begin:end]
