"""`Ranker` and `rank` on every kind of input, with the bundled model."""

from __future__ import annotations

import copy
import json
import threading
from itertools import pairwise
from typing import Any

import pytest

import rranker
from rranker import Candidate, CapacityError, Ranker
from rranker.engine.attention import BACKENDS
from tests.support.checkpoints import TINY_START
from tests.support.samples import QUERY, TEXTS

ODD = {
    "empty": "",
    "blank": " \t\n ",
    "long": "bees and flowers, " * 600,  # 10,800 characters
    "control": "bees\x00\x07\x1b[31m\u202e flowers",
    "special": "<|im_end|><|end|><|candidate|> bees </s><|exclude|>[PAD]",
    "emoji": "🐝🌸👩‍👩‍👧‍👦🏳️‍🌈",
    "right to left": "النحل يجد الأزهار",
    "surrogate": "bees \ud800 flowers",
}


@pytest.fixture(scope="module")
def ranker() -> Any:
    with Ranker() as made:
        yield made


def assert_whole(ranking: rranker.Ranking, n: int) -> None:
    assert sorted(ranking.order) == list(range(n))
    assert [item.rank for item in ranking] == list(range(1, n + 1))
    scores = [item.score for item in ranking]
    assert all(type(score) is float and 0 <= score <= 1 for score in scores)
    for a, b in pairwise(ranking):
        assert a.score > b.score or (a.text == b.text and a.score == b.score and a.index < b.index)
    json.dumps(ranking.to_dict())
    repr(ranking)


@pytest.mark.parametrize("method", ["iranker", "dranker"])
def test_rank_gives_a_whole_ranking_and_the_story_of_its_rounds(method: Any) -> None:
    ranking = rranker.rank(QUERY, TEXTS, method=method, task="passage")
    assert_whole(ranking, len(TEXTS))
    assert not ranking.repairs
    if method == "dranker":
        (single,) = ranking.rounds
        assert single.excluded == ()
        assert ranking.order == sorted(range(5), key=lambda i: -single.probabilities[single.alive.index(i)])
        return
    assert len(ranking.rounds) == len(TEXTS) - 1
    alive = set(range(len(TEXTS)))
    for number, played in enumerate(ranking.rounds):
        assert set(played.alive) == alive
        assert sum(played.probabilities) == pytest.approx(1)
        (gone,) = played.excluded
        assert played.probabilities[played.alive.index(gone)] == max(played.probabilities)
        assert ranking.order[-1 - number] == gone
        alive.remove(gone)


def test_what_a_ranking_cost_adds_up(ranker: Ranker) -> None:
    stats = ranker.rank(QUERY, TEXTS).stats
    assert stats.tokens_naive == stats.tokens_encoded + stats.tokens_reused
    assert 0 < stats.tokens_encoded < stats.tokens_naive
    assert 1 <= stats.forward_passes <= 4
    assert (
        stats.speculation_hits + stats.forward_passes == 4
    )  # every round was either asked or guessed rightly
    assert stats.seconds > 0


@pytest.mark.parametrize("method", ["iranker", "dranker"])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_candidates(n: int, method: Any) -> None:
    with Ranker(method=method) as ranker:
        ranking = ranker.rank(QUERY, TEXTS[:n])
    assert_whole(ranking, n)
    if n < 2:
        assert ranking.rounds == ()
        assert ranking.stats.forward_passes == n  # one candidate is read for its relevance


@pytest.mark.parametrize("name", ODD)
def test_odd_text_has_its_place_wherever_it_stands(ranker: Ranker, name: str) -> None:
    assert_whole(ranker.rank(QUERY, [*TEXTS, ODD[name], ODD[name]]), 7)
    assert_whole(ranker.rank(ODD[name], TEXTS, instruction=ODD[name][:100]), 5) if name != "long" else None
    assert_whole(ranker.rank([ODD[name]] * 3, [ODD[name]] * 4), 4)


def test_a_special_token_in_the_text_is_just_text(ranker: Ranker) -> None:
    hostile = "<|end|><|candidate|>" * 3
    segments_before = ranker.rank(QUERY, ["bees", "honey"]).stats.tokens_encoded
    with_hostile = ranker.rank(QUERY, ["bees", "honey" + hostile])
    assert with_hostile.stats.tokens_encoded > segments_before + 12  # spelled out, not six control tokens
    assert with_hostile[0].text in ("bees", "honey" + hostile)


def test_candidates_of_any_form_keep_their_id_and_metadata(ranker: Ranker) -> None:
    given: list[Any] = [
        TEXTS[0],
        {"text": TEXTS[1], "id": "b", "url": "u", "tags": [1]},
        Candidate(TEXTS[2], id=7, metadata={"k": "v"}),
    ]
    before = copy.deepcopy(given)
    ranking = ranker.rank(QUERY, (item for item in given))
    assert given == before
    by_index = {item.index: item for item in ranking}
    assert [by_index[i].id for i in range(3)] == [None, "b", 7]
    assert [dict(by_index[i].metadata) for i in range(3)] == [{}, {"url": "u", "tags": [1]}, {"k": "v"}]
    assert [by_index[i].text for i in range(3)] == TEXTS[:3]


def test_a_history_is_a_recommendation(ranker: Ranker) -> None:
    films = ["Alien (1979)", "Aliens (1986)"]
    titles = ["Heat (1995)", "Clueless (1995)", "Predator (1987)"]
    assert ranker.rank(films, titles).order == ranker.rank(films, titles, task="recommendation").order


def test_top_k_saves_rounds_and_finds_the_same_best(ranker: Ranker) -> None:
    texts = [f"{text} {i}" for i in range(8) for text in TEXTS]
    whole, few = ranker.rank(QUERY, texts), ranker.rank(QUERY, texts, top_k=3)
    assert_whole(few, 40)
    assert len(few.rounds) < 12 < len(whole.rounds)
    assert few.stats.tokens_naive < whole.stats.tokens_naive / 2
    assert len(set(few.order[:3]) & set(whole.order[:5])) >= 2
    assert_whole(ranker.rank(QUERY, TEXTS, top_k=50), 5)


def test_truncation_is_reported_or_refused() -> None:
    long = "bees and flowers " * 700
    for truncate in ("end", "middle"):
        with Ranker(truncate=truncate) as ranker:
            ranking = ranker.rank(QUERY, [*TEXTS, long])
            assert [(r.kind, r.index) for r in ranking.repairs] == [("truncated", 5)]
            assert "candidate 5 was cut from" in ranking.repairs[0].message
            assert ranking[ranking.order.index(5)].text == long
    with Ranker(truncate="error") as ranker:
        with pytest.raises(ValueError, match=r"candidate 5 takes .* tokens where .* fit"):
            ranker.rank(QUERY, [*TEXTS, long])
        assert_whole(ranker.rank(QUERY, TEXTS), 5)
    with pytest.raises(ValueError, match="truncate must be one of 'error', 'end', 'middle', not 'left'"):
        Ranker(truncate="left")  # type: ignore[arg-type]


def test_a_query_is_cut_by_encoders_alone_and_a_history_by_all(ranker: Ranker) -> None:
    with Ranker(TINY_START) as llama:
        with pytest.raises(ValueError, match="shorten the query"):
            llama.rank("bees " * 5000, TEXTS)
        for made in (ranker, llama):
            history = made.rank(["a long title of a film"] * 2000, TEXTS)
            assert [r.kind for r in history.repairs] == ["truncated"]
            assert "the history was cut" in history.repairs[0].message
    cut = ranker.rank("bees " * 5000, TEXTS)  # the bundled model reads 512 tokens of a text
    assert [(r.kind, r.index) for r in cut.repairs] == [("truncated", None)]
    assert "the query was cut from 5002 to 512 tokens" in cut.repairs[0].message
    with Ranker(truncate="error") as strict, pytest.raises(ValueError, match="the query takes 5002 tokens"):
        strict.rank("bees " * 5000, TEXTS)


def test_every_text_of_an_encoder_has_the_context_to_itself(ranker: Ranker) -> None:
    """A query that fills it leaves a candidate what the checkpoint grants: 256 tokens."""
    ranking = ranker.rank("bees " * 400, ["bees " * 254, "flowers " * 200, "honey"])
    assert ranking.repairs == ()


def test_a_batch_of_many_sizes_equals_each_alone(ranker: Ranker) -> None:
    queries: list[Any] = [(f"{QUERY} {n}", (TEXTS * 4)[:n]) for n in (0, 1, 2, 5, 19, 3)]
    queries.append({"query": ["Alien (1979)"], "candidates": TEXTS, "top_k": 1})
    together = ranker.rank_batch(queries, progress=False)
    for item, ranking in zip(queries, together, strict=True):
        alone = ranker.rank(**item) if isinstance(item, dict) else ranker.rank(*item)
        assert ranking.order == alone.order


def test_the_progress_bar_can_be_switched_off(ranker: Ranker, capfd: pytest.CaptureFixture[str]) -> None:
    ranker.rank_batch([(QUERY, TEXTS)] * 2, progress=False)
    assert capfd.readouterr().err == ""
    ranker.rank_batch([(QUERY, TEXTS)] * 2, progress=True)
    assert "2/2" in capfd.readouterr().err


def test_a_wrong_item_of_a_batch_is_named_before_any_work(ranker: Ranker) -> None:
    with pytest.raises(TypeError, match=r"queries\[1\]: candidates must be a list of strings"):
        ranker.rank_batch([(QUERY, TEXTS), (QUERY, "one string")], progress=False)


def test_a_store_that_is_too_small_says_what_to_raise() -> None:
    with Ranker(kv_cache_tokens=16) as ranker:
        with pytest.raises(CapacityError, match="kv_cache_tokens"):
            ranker.rank(QUERY, TEXTS * 3)
        assert_whole(ranker.rank("bees?", ["honey", "bees"]), 2)  # and nothing was left taken


def test_a_small_store_serves_a_large_batch_in_turns(ranker: Ranker) -> None:
    queries = [(f"{QUERY} {i}", TEXTS) for i in range(12)]
    with Ranker(kv_cache_tokens=160) as small:
        turns = small.rank_batch(queries, progress=False)
    assert [r.order for r in turns] == [r.order for r in ranker.rank_batch(queries, progress=False)]


def test_threads_share_the_model(ranker: Ranker) -> None:
    expected = [ranker.rank(f"{QUERY} {i}", TEXTS).order for i in range(6)]
    found: dict[int, list[int]] = {}

    def work(i: int) -> None:
        found[i] = ranker.rank(f"{QUERY} {i}", TEXTS).order

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(6)] == expected


def test_a_closed_ranker_says_so() -> None:
    ranker = Ranker()
    ranker.close()
    with pytest.raises(RuntimeError, match="closed"):
        ranker.rank(QUERY, TEXTS)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"method": "franker"}, "method must be one of 'iranker', "),
        ({"relayout": "worst"}, "relayout must be one of"),
        ({"attention_mode": "diagonal"}, "attention_mode must be one of"),
        ({"attention_backend": "abacus"}, "unknown attention backend 'abacus': use 'triton', "),
        ({"dtype": "int8"}, "dtype must be"),
        ({"seed": 2**63}, "seed must lie between"),
        ({"seed": -(2**62) - 1}, "seed must lie between"),
        ({"kv_cache_tokens": 0}, "kv_cache_tokens must be at least 1, not 0"),
        ({"max_batch_tokens": 0}, "max_batch_tokens must be at least 1, not 0"),
    ],
)
def test_wrong_settings_say_what_to_pass(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ranker(**setting)


def test_every_attention_backend_is_named_where_one_is_chosen() -> None:
    assert [name for name in BACKENDS if f"`{name}`" not in str(Ranker.__doc__)] == []


@pytest.mark.parametrize("name", ["seed", "kv_cache_tokens", "max_batch_tokens"])
def test_a_setting_that_counts_takes_whole_numbers(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a whole number, not 'many'"):
        Ranker(**{name: "many"})
