"""A model behind a chat endpoint ranks by every list method: by log-probabilities if there are any, else by words."""

from __future__ import annotations

import asyncio
import pickle
import random
import time
from dataclasses import replace

import pytest

from rranker import Ranker
from rranker.methods import method_class, method_names
from rranker.prompts.segments import POINTWISE
from rranker.request import make_request
from rranker.scorers.chat_api import ChatScorer
from rranker.scorers.remote import Prices
from tests.support.chat_answers import VALUES, honest, wordy
from tests.support.chat_server import Body, Fault, completion, error

TEXTS = list(VALUES)
LISTS = [name for name in method_names() if method_class(name).kind not in POINTWISE]


def by_value(texts):
    return sorted(texts, key=lambda text: -VALUES[text])


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("endpoint", [honest, wordy])
def test_every_list_method_ranks(served, endpoint, method):
    rng = random.Random(method)
    server = served(endpoint)
    lists = [rng.sample(TEXTS, n) for n in (0, 1, 2, 4, 6)]
    with Ranker(scorer=ChatScorer("m", base_url=server.url), method=method) as ranker:
        found = ranker.rank_batch([("worth most?", texts) for texts in lists], progress=False)
    for ranking, texts in zip(found, lists, strict=True):
        assert [item.text for item in ranking] == by_value(texts)
        assert ranking.repairs == ()
    probabilities = [p for played in found[-1].rounds for p in played.probabilities]
    assert all(0 < p < 1 for p in probabilities) == (endpoint is honest)


def test_without_more_words_a_ranking_takes_one_call(served):
    server = served(honest)
    with Ranker(scorer=ChatScorer("m", base_url=server.url)) as ranker:
        assert ranker.rank("q", TEXTS).method == "dranker"
    assert len(server.asked) == 1
    assert server.asked[0]["top_logprobs"] == 20
    assert server.asked[0]["model"] == "m"


def test_probabilities_are_those_of_the_labels_of_those_left(served):
    server = served(honest)
    with Ranker(scorer=ChatScorer("m", base_url=server.url), method="selection") as ranker:
        first, second, *_ = ranker.rank("q", ["tin", "gold", "silver"]).rounds
    assert first.selected == (1,)
    assert second.alive == (0, 2)
    assert second.probabilities[1] == pytest.approx(1 / (1 + 2.718281828**-4), abs=1e-6)


def test_lists_longer_than_the_alternatives_are_asked_in_words_until_they_are_shorter(served):
    server = served(honest)
    with Ranker(scorer=ChatScorer("m", base_url=server.url, top_logprobs=4), method="iranker") as ranker:
        ranking = ranker.rank("q", TEXTS)
    assert [item.text for item in ranking] == by_value(TEXTS)
    assert [body.get("top_logprobs") for body in server.asked] == [None, None, 4, 4, 4]
    assert "[E]" not in server.asked[1]["messages"][0]["content"]
    assert "[E] silver" in server.asked[-1]["messages"][0]["content"], "survivors keep their letters"


def test_an_endpoint_that_gives_no_log_probabilities_is_asked_for_them_once(served):
    server = served(wordy)
    with Ranker(scorer=ChatScorer("m", base_url=server.url)) as ranker:
        assert [item.text for item in ranker.rank("q", TEXTS)] == by_value(TEXTS)
        ranker.rank("q", TEXTS)
    assert [bool(body.get("logprobs")) for body in server.asked] == [True, False, False]


@pytest.mark.parametrize("method", ["dranker", "iranker"])
def test_what_no_encoding_can_hold_is_read_as_question_marks_and_reported(served, method):
    server = served(lambda path, body: completion("[1] > [2]"))
    with Ranker(scorer=ChatScorer("m", base_url=server.url), method=method) as ranker:
        ranking = ranker.rank("q\ud800", ["tin", "gold\udc80"], instruction="best\ud800 first")
    said = server.asked[-1]["messages"][0]["content"]
    assert all(text in said for text in ("q?", "best? first", "] gold?\n"))
    assert ranking[0].text in ("tin", "gold\udc80"), "what is given back is as it came"
    assert [(repair.kind, repair.index) for repair in ranking.repairs] == [
        ("encoding", None),
        ("encoding", None),
        ("encoding", 1),
    ]
    assert ["query" in r.message for r in ranking.repairs] == [True, False, False]
    assert "the instruction has characters" in ranking.repairs[1].message


def test_who_insists_on_log_probabilities_is_told_that_there_are_none(served):
    with (
        Ranker(scorer=ChatScorer("m", base_url=served(wordy).url, logprobs=True)) as ranker,
        pytest.raises(RuntimeError, match="gives no log-probabilities: leave logprobs= out"),
    ):
        ranker.rank("q", TEXTS)


def test_fields_that_an_endpoint_refuses_are_left_out(served):
    """As OpenAI's reasoning models do: one field is named at a time."""

    def picky(path: str, body: Body) -> Body | Fault:
        if "logprobs" in body:
            return error(
                403 if body["model"] == "strict" else 400, "logprobs are not supported with this model"
            )
        if "max_tokens" in body:
            return error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if "temperature" in body:
            return error(400, "Unsupported value: 'temperature' does not support 0.")
        return wordy(path, body)

    server = served(picky)
    with Ranker(scorer=ChatScorer("m", base_url=server.url)) as ranker:
        rankings = ranker.rank_batch([("q", TEXTS)] * 3, progress=False)
        ranker.rank("q", TEXTS)
    assert all([item.text for item in ranking] == by_value(TEXTS) for ranking in rankings)
    assert len(server.asked) <= 3 * 4 + 1
    assert "max_completion_tokens" in server.asked[-1]
    with (
        Ranker(scorer=ChatScorer("strict", base_url=server.url)) as ranker,
        pytest.raises(RuntimeError, match="HTTP 403"),
    ):
        ranker.rank("q", TEXTS)


def test_a_label_counts_however_its_token_writes_it_and_where_it_is_said(served):
    said = [
        ("The", {"The": -0.1, "A": -3.0}),
        (" best", {" best": -0.1}),
        (":", {":": -0.1}),
        (" B", {" B": -0.7, "B": -3.0, "A": -1.0, "**A": -1.2, "C": -2.0}),
    ]

    def answer(path: str, body: Body) -> Body:
        return completion("The best: B", tokens=said)

    with Ranker(scorer=ChatScorer("m", base_url=served(answer).url)) as ranker:
        assert ranker.rank("q", ["first", "second", "third"]).order == [
            0,
            1,
            2,
        ]  # A: 0.37 + 0.30; B: 0.50 + 0.05


def test_labels_whose_probability_is_not_known_follow_and_are_reported(served):
    def answer(path: str, body: Body) -> Body:
        return completion("C", tokens=[("C", {"C": -0.1, "A": -3.0, "Hm": -4.0})])

    with Ranker(scorer=ChatScorer("m", base_url=served(answer).url)) as ranker:
        ranking = ranker.rank("q", ["a", "b", "c", "d"])
        assert ranking.order == [2, 0, 1, 3]
        assert [(r.kind, r.index) for r in ranking.repairs] == [("missing", 1), ("missing", 3)]
        assert ranker.rank("q", ["a", "b", "c", "d"], method="selection", top_k=1).repairs == ()


def test_a_letter_without_probabilities_behind_it_still_counts(served):
    """In the second round the letters have a gap: C is the second of those left."""
    names = iter("BC")

    def answer(path: str, body: Body) -> Body:
        return completion(f"Answer: {next(names)}", tokens=[("Answer", {"Answer": -0.1})])

    with Ranker(scorer=ChatScorer("m", base_url=served(answer).url), method="iranker") as ranker:
        assert ranker.rank("q", ["a", "b", "c"]).order == [0, 2, 1]


def test_calls_tokens_and_cost_are_counted(served):
    server = served(honest)
    scorer = ChatScorer("m", base_url=server.url, prices=Prices(prompt=2.0, completion=8.0, cached=0.5))
    with Ranker(scorer=scorer, method="iranker") as ranker:
        stats = ranker.rank("q", TEXTS[:3]).stats
        assert (stats.calls, stats.tokens_naive, stats.tokens_encoded, stats.tokens_generated) == (
            2,
            200,
            120,
            2,
        )
        assert stats.cost == pytest.approx((120 * 2.0 + 80 * 0.5 + 2 * 8.0) / 1e6)
        assert "calls=2" in repr(stats)
        assert "calls" not in repr(replace(stats, calls=0))
        ranker.rank("q", TEXTS[:2])
        assert (scorer.spent.calls, scorer.spent.tokens) == (3, 303)


def test_the_query_of_every_kind_is_in_the_prompt(served):
    server = served(honest)
    with Ranker(scorer=ChatScorer("m", base_url=server.url)) as ranker:
        ranker.rank(["gold", "tin"], TEXTS[:2])
        ranker.rank("pay what?", TEXTS[:2], template="passage", instruction="Be brief.")
    history, question = (body["messages"][0]["content"] for body in server.asked)
    assert "oldest first:\n- gold\n- tin\n" in history
    assert question.startswith("Be brief.\n\nQuery: pay what?\n\nPassages:\n[A] tin\n[B] lead\n")
    assert question.endswith("Which is the most relevant passage? Answer with its letter only.")


def test_questions_about_one_candidate_alone_are_refused(served):
    scorer = ChatScorer("m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ValueError, match="query_likelihood asks about each candidate alone"):
        scorer.prepare(make_request("q", TEXTS), method_class("query_likelihood"))


def test_wrong_settings_are_named(served, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ValueError, match="no API key: pass api_key="):
        ChatScorer("m")
    for wrong, said in [
        ({"top_logprobs": 21}, "top_logprobs must be from 1 to 20, not 21"),
        ({"top_logprobs": "5"}, "top_logprobs must be a whole number, not '5'"),
        ({"max_answer_tokens": 0}, "max_answer_tokens must be at least 1, not 0"),
        ({"max_answer_tokens": 2.5}, "max_answer_tokens must be a whole number, not 2.5"),
        ({"temperature": "hot"}, "temperature .* must be a number from 0, not 'hot'"),
        ({"prefill": "yes"}, "prefill must be True or False, not 'yes'"),
        ({"logprobs": 1}, "logprobs must be True, False or None, not 1"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"timeout": 0}, "timeout .seconds. must be a number above 0"),
        ({"client": object()}, "leave base_url and api_key out"),
    ]:
        with pytest.raises((TypeError, ValueError), match=said):
            ChatScorer("m", base_url="http://127.0.0.1:9/v1", **wrong)
    with pytest.raises(TypeError, match="must be an asynchronous one"):
        ChatScorer("m", client=object())


def test_a_client_of_ones_own_is_used_and_stays_open(served):
    import openai

    server = served(honest)
    client = openai.AsyncOpenAI(base_url=server.url, api_key="mine")
    for _ in range(2):
        with Ranker(scorer=ChatScorer("m", client=client)) as ranker:
            assert [item.text for item in ranker.rank("q", TEXTS)] == by_value(TEXTS)
    assert server.keys == ["Bearer mine"] * 2


def test_a_ranker_with_a_remote_model_can_be_pickled(served):
    server = served(honest)
    with Ranker(scorer=ChatScorer("m", base_url=server.url)) as ranker:
        ranker.rank("q", TEXTS)
        with pickle.loads(pickle.dumps(ranker)) as again:
            assert [item.text for item in again.rank("q", TEXTS)] == by_value(TEXTS)


def test_rounds_are_streamed_and_nothing_is_asked_ahead_of_the_reader(served):
    server = served(honest)
    with Ranker(scorer=ChatScorer("m", base_url=server.url), method="iranker") as ranker:
        with ranker.stream("q", TEXTS) as rounds:
            gone = [next(rounds).excluded, next(rounds).excluded]
            time.sleep(0.05)
            assert len(server.asked) == 2
        time.sleep(0.05)
        assert len(server.asked) == 2
        stream = ranker.stream("q", TEXTS)
        assert [played.excluded for played in stream] == [*gone, (2,), (3,), (4,)]
        assert stream.ranking == ranker.rank("q", TEXTS)


def test_async_calls_run_side_by_side(served):
    server = served(lambda path, body: Fault(body=honest(path, body), delay=0.05))

    async def rank() -> list[list[int]]:
        with Ranker(scorer=ChatScorer("m", base_url=server.url), method="iranker") as ranker:
            one, many = await asyncio.gather(ranker.arank("q", TEXTS), ranker.arank_batch([("q", TEXTS)] * 2))
            rounds = [played.excluded async for played in ranker.astream("q", TEXTS[:3])]
        return [one.order, *(found.order for found in many), [index for (index,) in rounds]]

    assert asyncio.run(rank()) == [[5, 4, 3, 2, 1, 0]] * 3 + [[0, 1]]
    assert server.most_at_once == 3


def test_long_lists_are_ranked_in_windows_and_every_call_is_counted(served):
    server = served(honest)
    with Ranker(scorer=ChatScorer("m", base_url=server.url, prices=Prices(1, 1))) as ranker:
        ranking = ranker.rank("q", TEXTS, window=3)
    assert [item.text for item in ranking[:2]] == ["gold", "silver"]
    assert [repair.kind for repair in ranking.repairs] == ["windowed"]
    assert ranking.stats.calls == len(server.asked) > 2
    assert ranking.stats.cost == pytest.approx(101e-6 * ranking.stats.calls)
    assert max(body["messages"][0]["content"].count("\n[") for body in server.asked) <= 3


def test_the_thought_of_a_thinking_model_is_kept_with_its_round(served):
    def answer(path: str, body: Body) -> Body:
        return completion("[2]", reasoning_content="the second is worse")

    with Ranker(scorer=ChatScorer("m", base_url=served(answer).url, logprobs=False)) as ranker:
        (played,) = ranker.rank("q", ["a", "b"], method="iranker").rounds
    assert (played.excluded, played.thought) == ((1,), "the second is worse")
