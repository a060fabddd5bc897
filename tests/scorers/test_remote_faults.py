"""What goes wrong between here and a remote model ends in a repair or in an error of its query; the rest goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from email.utils import formatdate

import pytest

from rranker import Ranker, Ranking
from rranker.methods import method_class
from rranker.scorers.chat_api import ChatScorer
from rranker.scorers.remote import RemoteError
from tests.support.chat_answers import VALUES, honest
from tests.support.chat_server import Body, Fault, completion, error

TEXTS = list(VALUES)
BEST = [5, 4, 3, 2, 1, 0]


def first(faults: Iterable[Body | Fault], then: Callable[[str, Body], Body | Fault] = honest):
    """The faults, one a request, and then the right answers."""
    coming, lock = iter(list(faults)), threading.Lock()

    def answer(path: str, body: Body) -> Body | Fault:
        with lock:
            fault = next(coming, None)
        return then(path, body) if fault is None else fault

    return answer


def scorer(server, **settings) -> ChatScorer:
    return ChatScorer("m", base_url=server.url, **{"backoff": 0.01, **settings})


PASSING = {
    "too many requests": error(429, "slow down"),
    "server error": error(500, "boom"),
    "overloaded": error(503, "busy", retry_after="0"),
    "no time": Fault(body=completion("A"), delay=1.0),
    "connection dropped": Fault(body=completion("[1] > [2]"), drop=True),
    "not JSON": Fault(body=b"<html>Bad gateway</html>"),
    "not UTF-8": Fault(body=b"\x80"),
    "cut JSON": Fault(body=b'{"choices": [{"mess'),
    "no choices": Fault(body={"id": "x", "choices": []}),
    "another shape": Fault(body=[1, 2]),
    "no message": Fault(body={"choices": [{"index": 0, "finish_reason": "stop"}]}),
    "wrong content": Fault(body={"choices": [{"message": {"role": "assistant", "content": 7}}]}),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_tried_again(served, fault):
    server = served(first([PASSING[fault]] * 2))
    with Ranker(scorer=scorer(server, timeout=0.3)) as ranker:
        ranking = ranker.rank("q", TEXTS)
    assert ranking.order == BEST
    assert ranking.repairs == ()
    assert ranking.stats.calls == len(server.asked) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_one_call_and_names_where_it_leads(served, status):
    server = served(lambda path, body: Fault(status, headers={"Location": "/v2/chat/completions"}))
    asking = scorer(server)
    with Ranker(scorer=asking) as ranker, pytest.raises(RemoteError) as caught:
        ranker.rank("q", TEXTS)
    assert f"leads to /v2/chat/completions (HTTP {status})" in str(caught.value)
    assert "redirects are not followed: pass the address that answers, base_url=" in str(caught.value)
    assert asking.spent.calls == len(server.asked) == 1


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_stays_names_its_query_and_the_rest_is_ranked(served, fault):
    def answer(path: str, body: Body) -> Body | Fault:
        return PASSING[fault] if "Query: bad" in body["messages"][0]["content"] else honest(path, body)

    queries = [
        {"query": query, "candidates": TEXTS, "id": f"id-{i}"} for i, query in enumerate(["a", "bad", "c"])
    ]
    with Ranker(scorer=scorer(served(answer), retries=1, timeout=0.3)) as ranker:
        one, wrong, three = ranker.rank_batch(queries, progress=False, on_error="return")
        assert isinstance(one, Ranking)
        assert isinstance(three, Ranking)
        assert one.order == three.order == BEST
        assert isinstance(wrong, RemoteError)
        assert str(wrong).startswith(r"queries[1] (id 'id-1'): no answer after 2 tries: ")
        with pytest.raises(RemoteError, match=r"queries\[1\]"):
            ranker.rank_batch(queries, progress=False)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (error(400, "maximum context length is 10 tokens"), "HTTP 400.*maximum context length"),
        (error(401, "who are you?"), "check the API key"),
        (error(404, "no such model"), "check base_url= and the model's name"),
        (error(429, "You exceeded your quota", "insufficient_quota"), "exceeded your quota"),
        (error(500, "never", x_should_retry="false"), "never"),
        (Fault(422, {"detail": "label missing"}), "label missing"),
        (Fault(403, b"Forbidden by the proxy"), "Forbidden by the proxy"),
        (error(429, "tomorrow", retry_after="86400"), "asks for a pause of 86400 s"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(served, fault, said):
    server = served(lambda path, body: fault)
    with Ranker(scorer=scorer(server)) as ranker, pytest.raises(RemoteError, match=said):
        ranker.rank("q", TEXTS)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "header",
    [
        lambda: {"retry_after": "0.4"},
        lambda: {"retry_after_ms": "400"},
        lambda: {"retry_after": formatdate(time.time() + 2, usegmt=True)},
    ],
)
def test_all_calls_wait_as_long_as_the_server_says(served, header):
    refusals = iter([header])

    def answer(path: str, body: Body) -> Body | Fault:
        refusal = next(refusals, None)
        return honest(path, body) if refusal is None else error(429, "slow down", **refusal())

    server = served(answer)
    with Ranker(scorer=scorer(server, concurrency=1)) as ranker:
        ranker.rank_batch([("q", TEXTS)] * 2, progress=False)
    assert 0.35 < server.times[1] - server.times[0] < 10


@pytest.mark.parametrize("past", ["0", "-5", "nan", formatdate(0, usegmt=True)])
def test_a_time_to_come_again_that_is_not_to_come_leaves_the_pause_to_us(served, past):
    refusals = iter([error(503, "busy", retry_after=past)])
    server = served(lambda path, body: next(refusals, None) or honest(path, body))
    with Ranker(scorer=scorer(server, backoff=0.4)) as ranker:
        assert ranker.rank("q", TEXTS).order == BEST
    assert server.times[1] - server.times[0] > 0.2


def test_a_call_that_waited_for_another_ones_slot_waits_as_long_as_that_was_told(served):
    both = threading.Barrier(2, timeout=10)
    refusals = iter([replace(error(429, "slow down", retry_after="0.4"), delay=0.2)])

    def answer(path: str, body: Body) -> Body | Fault:
        return next(refusals, None) or honest(path, body)

    server = served(answer)
    with Ranker(scorer=scorer(server, concurrency=1), method="dranker") as ranker:

        def rank() -> None:
            both.wait()
            assert ranker.rank("q", TEXTS).order == BEST

        threads = [threading.Thread(target=rank) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.times) == 3
    assert server.times[1] - server.times[0] > 0.5


def test_a_server_that_is_not_there_is_named():
    pytest.importorskip("openai", reason="needs the extra openai")
    with (
        Ranker(scorer=ChatScorer("m", base_url="http://127.0.0.1:9/v1", retries=1, backoff=0.01)) as ranker,
        pytest.raises(RemoteError, match="no answer after 2 tries: the connection failed"),
    ):
        ranker.rank("q", TEXTS)


@pytest.mark.parametrize("method", ["iranker", "selection", "dranker"])
@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (completion(""), {"unparsed"}),
        (completion(None), {"unparsed"}),
        (completion(None, refusal="I cannot do that."), {"refused", "unparsed"}),
        (completion(None, finish="content_filter"), {"refused", "unparsed"}),
        (completion("I would say that", finish="length"), {"answer_cut", "unparsed"}),
    ],
)
def test_an_answer_that_says_nothing_is_a_repair_in_every_round(served, method, answer, kinds):
    with Ranker(scorer=scorer(served(lambda path, body: answer), logprobs=False), method=method) as ranker:
        ranking = ranker.rank("q", TEXTS[:3])
    assert ranking.order == [0, 1, 2]
    assert {repair.kind for repair in ranking.repairs} == kinds
    rounds = 1 if method == "dranker" else 2
    assert len(ranking.repairs) == rounds * len(kinds)
    assert ranking.repairs[-1].message.startswith(f"round {rounds}, ")


def test_an_order_that_is_cut_keeps_what_was_said(served):
    answer = completion("[3] > [1] > ", finish="length")
    with Ranker(scorer=scorer(served(lambda path, body: answer), logprobs=False)) as ranker:
        ranking = ranker.rank("q", TEXTS[:4])
    assert ranking.order == [2, 0, 1, 3]
    assert [repair.kind for repair in ranking.repairs] == ["answer_cut", "missing", "missing"]


def test_one_empty_answer_does_not_end_the_use_of_log_probabilities(served):
    server = served(first([completion("")]))
    with Ranker(scorer=scorer(server)) as ranker:
        assert [repair.kind for repair in ranker.rank("q", TEXTS).repairs] == ["unparsed"]
        assert ranker.rank("q", TEXTS).order == BEST
    assert all(body["logprobs"] for body in server.asked)


def test_at_most_so_many_calls_are_under_way_over_all_threads(served):
    server = served(lambda path, body: Fault(body=honest(path, body), delay=0.02))
    with Ranker(scorer=scorer(server, concurrency=3)) as ranker:
        threads = [
            threading.Thread(target=ranker.rank_batch, args=[[("q", TEXTS)] * 6], kwargs={"progress": False})
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 18
    assert server.most_at_once == 3


def test_ranking_works_inside_a_running_event_loop(served):
    server = served(honest)

    async def inside() -> list[int]:
        with Ranker(scorer=scorer(server)) as ranker:
            return ranker.rank("q", TEXTS).order

    assert asyncio.run(inside()) == BEST


def test_rankings_come_as_they_are_done_and_closing_cancels_the_rest(served):
    server = served(
        lambda path, body: Fault(body=honest(path, body), delay=0.0 if "quick" in str(body) else 1.0)
    )
    one = scorer(server)
    from rranker.request import make_request

    jobs = [one.prepare(make_request(query, TEXTS), method_class("dranker")) for query in ("slow", "quick")]
    played = one.play(jobs)
    assert next(played).request.query == "quick"
    played.close()
    failed = list[Exception]()

    def rank() -> None:
        try:
            Ranker(scorer=one).rank("slow", TEXTS)
        except RuntimeError as error:
            failed.append(error)

    thread = threading.Thread(target=rank)
    thread.start()
    while len(server.asked) < 3:
        time.sleep(0.01)
    one.close()
    thread.join(timeout=0.9)
    assert str(failed[0]) == "the scorer was closed while it was ranking"


def test_cancelled_calls_let_go_of_a_server_that_does_not_answer(served):
    """More of them than there are threads; with one call at a time, each holds it until it is cancelled."""
    answers = threading.Event()

    def answer(path: str, body: Body) -> Body | Fault:
        if "Query: hung" in body["messages"][0]["content"]:
            answers.wait(timeout=20)
        return honest(path, body)

    server = served(answer)

    async def abandon(ranker: Ranker) -> Ranking:
        calls = [asyncio.create_task(ranker.arank(f"hung {i}", TEXTS)) for i in range(40)]
        while not server.asked:
            await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        gone = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in gone)
        async with asyncio.timeout(10):
            return await ranker.arank("q", TEXTS)

    with Ranker(scorer=scorer(server, concurrency=1)) as ranker:
        try:
            assert asyncio.run(abandon(ranker)).order == BEST
        finally:
            answers.set()
