"""Budgets and time limits end rankings cleanly: with what is known, in whole permutations that say so."""

from __future__ import annotations

import socket
import time

import pytest

from rranker import Ranker
from rranker.methods import method_class, method_names
from rranker.prompts.segments import POINTWISE
from rranker.scorers.chat_api import ChatScorer
from rranker.scorers.remote import Budget, Prices, RemoteError
from tests.support.chat_answers import VALUES, honest, wordy
from tests.support.chat_server import Body, Fault, completion, error

TEXTS = list(VALUES)
BEST = [5, 4, 3, 2, 1, 0]


def scorer(server, **settings) -> ChatScorer:
    return ChatScorer("m", base_url=server.url, **{"backoff": 0.01, **settings})


@pytest.mark.parametrize("endpoint", [honest, wordy])
def test_a_budget_of_calls_ends_rankings_with_what_is_known(served, endpoint):
    server = served(endpoint)
    one = scorer(
        server, budget=Budget(calls=7), concurrency=1, logprobs=None if endpoint is honest else False
    )
    with Ranker(scorer=one, method="selection") as ranker:
        whole, part, none = ranker.rank_batch([("q", TEXTS)] * 3, progress=False)
    assert len(server.asked) == 7
    assert whole.order == BEST
    assert whole.repairs == ()
    assert len(part.rounds) == 2
    # Log-probabilities say something of those that were not named, words do not.
    assert part.order == (BEST if endpoint is honest else [5, 4, 0, 1, 2, 3])
    assert (none.order, none.rounds) == ([0, 1, 2, 3, 4, 5], ())
    for ranking, left in ((part, 3), (none, 5)):
        (repair,) = ranking.repairs
        assert repair.kind == "stopped"
        assert f"the budget of 7 calls was used up with {left} round(s) to come" in repair.message
        assert [item.score for item in ranking] == sorted((item.score for item in ranking), reverse=True)


@pytest.mark.parametrize("method", method_names())
def test_a_budget_ends_every_method_in_a_whole_ranking(served, method):
    if method_class(method).kind in POINTWISE:
        pytest.skip("asks about each candidate alone, which a chat endpoint is not")
    server = served(wordy)
    for calls in range(4):
        one = scorer(server, budget=Budget(calls=calls), logprobs=False)
        with Ranker(scorer=one, method=method) as ranker:
            ranking = ranker.rank("q", TEXTS)
        assert sorted(ranking.order) == [0, 1, 2, 3, 4, 5]
        assert len(ranking.rounds) <= calls
        assert [repair.kind for repair in ranking.repairs] == ["stopped"] * (
            calls == 0 or method != "dranker"
        )


def test_a_budget_of_elimination_ends_with_those_left_by_their_last_answer(served):
    with Ranker(scorer=scorer(served(honest), budget=Budget(calls=2)), method="iranker") as ranker:
        ranking = ranker.rank("q", TEXTS)
    assert ranking.order == BEST
    assert [played.excluded for played in ranking.rounds] == [(0,), (1,)]


def test_a_budget_of_tokens_is_not_overspent_by_calls_under_way(served):
    """Of calls under way an estimate is held back, here between 80 and 100 tokens; each takes 61."""

    def answer(path: str, body: Body) -> Fault:
        return Fault(body={**completion("[6] > [5]", usage=(60, 1, 0))}, delay=0.02)

    one = scorer(
        served(answer), budget=Budget(tokens=300), concurrency=8, logprobs=False, max_answer_tokens=16
    )
    with Ranker(scorer=one) as ranker:
        rankings = ranker.rank_batch([("q", TEXTS)] * 10, progress=False)
    stopped = [r for ranking in rankings for r in ranking.repairs if r.kind == "stopped"]
    assert (one.spent.calls, one.spent.tokens, len(stopped)) == (4, 244, 6)
    assert "the budget of 300 tokens leaves 56, too few for the next call" in stopped[0].message


def test_a_time_limit_ends_rankings_with_what_is_known(served):
    """The first answers at once, the second never: its call is given up when time is up."""
    server = served(
        lambda path, body: Fault(body=honest(path, body), delay=0.0 if "quick" in str(body) else 2.0)
    )
    began = time.monotonic()
    with Ranker(scorer=scorer(server, time_limit=0.5)) as ranker:
        quick, slow = ranker.rank_batch([("quick", TEXTS), ("slow", TEXTS)], progress=False)
    assert time.monotonic() - began < 1.9
    assert (quick.order, quick.repairs) == (BEST, ())
    assert slow.order == [0, 1, 2, 3, 4, 5]
    assert "the time limit was reached" in slow.repairs[0].message


def test_a_pause_that_would_outlast_the_time_limit_is_not_waited_for(served):
    server = served(lambda path, body: error(429, "slow down", retry_after="30"))
    began = time.monotonic()
    with Ranker(scorer=scorer(server, time_limit=20)) as ranker:
        (repair,) = ranker.rank("q", TEXTS).repairs
    assert repair.kind == "stopped"
    assert time.monotonic() - began < 5


def test_what_never_reached_an_endpoint_is_not_counted(served):
    """Nobody listens there: five tries, none of which was sent, and nothing is spent of the budget."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"  # bound, and not listening
        one = ChatScorer("m", base_url=dead, backoff=0.01, budget=Budget(calls=2, tokens=10_000))
        with (
            Ranker(scorer=one) as ranker,
            pytest.raises(
                RemoteError, match=r"no answer after 5 tries: the connection failed \(ConnectError"
            ),
        ):
            ranker.rank("q", TEXTS)
    assert (one.spent.calls, one.spent.tokens) == (0, 0)


@pytest.mark.parametrize(
    ("usage", "encoded"),
    [((-100, -5, 0), None), ((100, -5, 0), None), ((10, 5, 50), 0), ((10, 5, -50), 10)],
)
def test_impossible_counts_of_tokens_give_nothing_back(served, usage, encoded):
    server = served(lambda path, body: completion("[1] > [2]", usage=usage))
    scorer = ChatScorer("m", base_url=server.url, logprobs=False, prices=Prices(2.0, 8.0, cached=0.5))
    with Ranker(scorer=scorer) as ranker:
        stats = ranker.rank("q", TEXTS).stats
    assert 0 <= stats.tokens_encoded <= stats.tokens_naive
    assert stats.cost > 0
    assert scorer.spent.tokens > 0
    assert stats.tokens_encoded == (stats.tokens_naive if encoded is None else encoded)


def test_calls_under_way_hold_the_budget_of_calls(served):
    """Eight at once, two may be sent: the others wait for these, as they might not have been sent."""
    server = served(lambda path, body: Fault(body=honest(path, body), delay=0.05))
    one = scorer(server, budget=Budget(calls=2), concurrency=8)
    with Ranker(scorer=one) as ranker:
        rankings = ranker.rank_batch([("q", TEXTS)] * 8, progress=False)
    assert (len(server.asked), one.spent.calls) == (2, 2)
    assert sum(not ranking.repairs for ranking in rankings) == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"timeout": "5"}, TypeError, r"timeout \(seconds\) must be a number above 0, not '5'"),
        ({"timeout": True}, TypeError, "timeout .* not True"),
        ({"timeout": 0}, ValueError, "timeout .* above 0, not 0"),
        ({"timeout": float("nan")}, ValueError, "timeout .* not nan"),
        ({"timeout": None}, TypeError, "timeout .* not None"),
        (
            {"time_limit": "1"},
            TypeError,
            r"time_limit \(seconds, or None for none\) must be a number above 0",
        ),
        ({"backoff": [1]}, TypeError, r"backoff .* not list"),
        ({"retries": 1.5}, TypeError, "retries must be a whole number, not 1.5"),
        ({"concurrency": "8"}, TypeError, "concurrency must be a whole number, not '8'"),
        ({"max_retries": 1}, TypeError, "calls have no setting 'max_retries'; did you mean 'retries'"),
        ({"budget": True}, TypeError, r"budget must be a Budget, such as Budget\(calls=100\), not True"),
        ({"budget": None}, TypeError, "budget must be a Budget, .* not None"),
        ({"prices": (1, 2)}, TypeError, r"prices must be Prices\(prompt, completion\).*, not \(1, 2\)"),
        ({"base_url": 8000}, TypeError, "base_url must be a string, or None for the environment's, not 8000"),
        ({"api_key": b"k"}, TypeError, "api_key must be a string, .*, not bytes"),
        ({"api_key": ""}, ValueError, "api_key is empty"),
    ],
)
def test_wrong_settings_are_refused_when_the_scorer_is_made(settings, error, message):
    with pytest.raises(error, match=message):
        ChatScorer("m", **{"base_url": "http://127.0.0.1:9/v1", **settings})


def test_prices_are_numbers():
    with pytest.raises(TypeError, match="the price of prompt tokens must be a number from 0, not '1'"):
        Prices("1", 2)
    with pytest.raises(ValueError, match="the price of cached tokens must be a number from 0, not -1"):
        Prices(1, 2, -1)
