"""The quality tables' arithmetic, and the peers' first condition: nobody is fitted on what is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from bench import quality, quality_held_out, quality_peers
from bench.paired import some
from bench.quality import chance, compare, figures, list_rows, ours, table
from bench.quality_routing import with_others_queries
from rranker import Ranker, data
from rranker.data import Interactions, RankingExample, in_validation
from rranker.training.examples.sources import Sources
from rranker.training.policy.model_config import ModelConfig
from tests.support.encoders import save_encoder
from tests.support.toy_examples import WORDS
from tests.support.toys import save_pointer_policy, toy_cases


def test_perfect_and_worst_orders() -> None:
    case = RankingExample("passage", "q", None, list("abcd"), [0.0, 1.0, 0.0, 0.0], "q")
    best, worst = figures([case], [[1, 0, 2, 3]]), figures([case], [[0, 2, 3, 1]])
    assert (best["mrr"], best["ndcg"]) == (1.0, 1.0)
    assert (worst["mrr"], worst["ndcg"]) == pytest.approx((0.25, 1 / np.log2(5)))


def test_chance_is_what_random_orders_reach() -> None:
    cases = [
        RankingExample("routing", str(i), None, list("abcde"), [1.0, 0.5, 1.0, 0.0, 0.0], str(i))
        for i in range(9)
    ]
    rng = np.random.default_rng(1)
    many = [figures(cases, [rng.permutation(5).tolist() for _ in cases]) for _ in range(400)]
    row = chance(cases)
    assert row["mrr"] == pytest.approx(np.mean([m["mrr"] for m in many]), abs=0.01)
    assert row["ndcg"] == pytest.approx(np.mean([m["ndcg"] for m in many]), abs=0.01)


def test_equal_scores_are_broken_at_random_and_not_by_place() -> None:
    first = [quality_peers.by_score(np.zeros(5), seed)[0] for seed in range(200)]
    assert set(first) == set(range(5))
    assert quality_peers.by_score(np.array([0.1, 0.9, 0.5]), 3) == [1, 2, 0]


def test_a_limit_keeps_whole_queries() -> None:
    cases = [
        RankingExample("passage", f"q{i}", None, ["a", "b"], [1.0, 0.0], f"q{i}")
        for i in range(10)
        for _ in "xyz"
    ]
    kept = some(cases, 4)
    assert len(kept) == 12
    assert len({case.id for case in kept}) == 4


def test_our_row_has_prices_and_does_not_follow_the_input_order(
    tmp_path: Path, tokenizer: Any, tiny: ModelConfig
) -> None:
    folder = save_pointer_policy(tokenizer, tiny, tmp_path / "model")
    ranker = Ranker(folder, dtype="float32", kv_cache_tokens=2048)
    cases = list(toy_cases(6, seed=9).values())
    row = ours(ranker, cases, 6)
    assert row["tau"] == 1.0
    unshuffled = ours(ranker, cases, 0)
    assert "tau" not in unshuffled
    assert "nan" not in table("toy", {"ours": unshuffled}) + json.dumps(unshuffled).lower()
    assert row["tokens"] > 0
    assert "random" in table("toy", {"random": chance(cases), "ours": row})


def test_recommenders_see_training_users_and_the_history_only() -> None:
    """The item that is asked for would be an easy guess if its own users' later rows were counted."""
    rng = np.random.default_rng(0)
    histories = [tuple(int(i) for i in rng.permutation(60)[:25]) for _ in range(40)]
    found = Interactions("toy", tuple(f"t{i}" for i in range(60)), tuple(histories))
    rows: dict[int, set[int]] = {}
    for user, item in quality_peers.known(found):
        rows.setdefault(user, set()).add(item)
    for user, items in enumerate(histories):
        assert rows[user] == set(items[:20] if user in found.test_users else items)
    asked = {user for user, _ in quality_peers.known(found, "validation") if user in found.validation_users}
    assert asked
    for user in asked:
        seen = {item for other, item in quality_peers.known(found, "validation") if other == user}
        assert seen == set(histories[user][:20])


@pytest.mark.data
def test_held_out_questions_are_those_that_never_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "COLLECTIONS", {name: data.COLLECTIONS[name] for name in ("wikiqa", "qed")})
    cases = quality_held_out.questions(40)
    assert len(cases) == 40
    for case in cases:
        assert in_validation(str(case.query))
        assert (len(case.candidates), sum(case.relevance)) == (7, 1.0)
    trained = {
        q.text for name, found in Sources(collections=["wikiqa", "qed"]).questions.items() for q in found
    }
    assert trained.isdisjoint(str(case.query) for case in cases)
    assert set(quality_peers.peers("questions", cases[:2])) == {"BM25", "MiniLM cosine", "MiniLM MaxSim"}


@pytest.mark.data
def test_keywords_are_titles_whose_paragraph_is_the_only_answer() -> None:
    cases = quality_held_out.keywords(20)
    texts = dict(data.wikipedia())
    assert len({case.query for case in cases}) == 20
    for case in cases:
        answers = [text for text, worth in zip(case.candidates, case.relevance, strict=True) if worth]
        assert answers == [texts[str(case.query)]]
        assert len(set(case.candidates)) == len(case.candidates) == 12


@pytest.mark.data
def test_invented_models_are_nobody_that_trains_and_cheapest_first_knows_their_prices() -> None:
    by_cost = quality_held_out.HELD_OUT["invented-cost"](30)
    queries = {case.query for case in data.task_cases("router-cost", "validation")}
    assert len({case.id for case in by_cost}) == 30
    for case in by_cost:
        assert case.query in queries
        assert len(set(case.candidates)) == 11
        assert set(case.candidates).isdisjoint(data.DESCRIPTIONS.values())
    ranked = [quality_peers.by_score(scores, i) for i, scores in enumerate(quality_peers.cheapest(by_cost))]
    assert figures(by_cost, ranked)["mrr"] > chance(by_cost)["mrr"] + 0.1


def test_the_cheapest_is_told_by_all_prices_of_a_description() -> None:
    texts = [
        "A: small. $0.30 per M tokens",
        "B: $1 in, $2 out per 1M tokens",
        "C: no price",
        "D: 0.2 USD per M",
    ]
    (scores,) = quality_peers.cheapest([RankingExample("routing", "q", None, texts, [1.0, 0, 0, 0], "x")])
    assert scores.tolist() == [-0.3, -1.5, -np.inf, -0.2]


def test_held_out_questions_have_no_test_split(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["bench.quality", "--tasks", "questions"])
    with pytest.raises(SystemExit):
        quality.main()
    assert "questions has no test split: give --split validation" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "least"), [("limit", 1), ("lists", 0), ("shuffles", 0)])
def test_counts_that_mean_nothing_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, least: int
) -> None:
    monkeypatch.setattr("sys.argv", ["bench.quality", f"--{name}", str(least - 1)])
    with pytest.raises(SystemExit):
        quality.main()
    assert f"argument --{name}: must be at least {least}, not {least - 1}" in capsys.readouterr().err


def test_a_model_is_compared_with_the_best_row_that_is_no_model() -> None:
    cases = [RankingExample("passage", f"q{i}", None, ["a", "b"], [1.0, 0.0], f"q{i}") for i in range(20)]
    good, bad = [0, 1], [1, 0]
    rows = {
        "poor": figures(cases, [bad] * 20),
        "fair": figures(cases, [good] * 12 + [bad] * 8),
        "model": figures(cases, [good] * 16 + [bad] * 4),
        "better model": figures(cases, [good] * 20),
    }
    compare(rows, ["model", "better model"], "mrr")
    assert rows["model"]["against"] == rows["better model"]["against"] == "fair"
    assert rows["model"]["gain"] == pytest.approx(4 * 0.5 / 20)
    low, high = rows["model"]["gain_interval"]
    assert 0 <= low < rows["model"]["gain"] < high
    assert "+0.100 [" in table("toy", rows)
    assert "gain" not in rows["fair"]


@pytest.mark.data
def test_lists_are_judged_by_query_for_every_row(minilm: Path) -> None:
    rows = list_rows(19, {}, 2)
    assert set(rows) == {"BM25", "MiniLM cosine", "MiniLM MaxSim"}
    assert all(len(row["ndcg_by_query"]) == 2 for row in rows.values())
    assert rows["MiniLM cosine"]["ndcg"] == pytest.approx(
        np.mean([*rows["MiniLM cosine"]["ndcg_by_query"].values()])
    )


def test_no_list_keeps_its_query_and_every_query_is_asked_once() -> None:
    cases = [RankingExample("routing", f"q{i}", None, ["a", "b"], [1.0, 0.0], f"q{i}") for i in range(9)]
    others = with_others_queries(cases)
    assert all(case.query != other.query for case, other in zip(cases, others, strict=True))
    assert sorted(str(other.query) for other in others) == sorted(str(case.query) for case in cases)
    assert [other.id for other in others] == [case.id for case in cases]


def test_late_interaction_of_single_tokens_is_what_transformers_states_say(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path, words=WORDS)
    lm, known = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)

    def tokens(text: str) -> torch.Tensor:
        with torch.no_grad():
            states = lm(**known(text, return_tensors="pt")).last_hidden_state[0]
        return torch.nn.functional.normalize(states, dim=-1)

    query, texts = "red lamp", ["cat", "lamp red green", "heat"]
    expected = [float((tokens(query) @ tokens(text).T).amax(1).mean()) for text in texts]
    found = quality_peers.TokenEmbedding(folder).maxsim(query, texts)
    np.testing.assert_allclose(found, expected, atol=2e-2)  # bfloat16 where the hardware has it, half kept
    assert found.argmax() == np.argmax(expected) == 1
