"""What a chat endpoint may send, through the real client: random responses end in a ranking or in a RemoteError."""

from __future__ import annotations

import json
import threading
from functools import cache
from typing import Any

from hypothesis import strategies as st

from rranker import Ranker
from rranker.scorers import ChatScorer, RemoteError
from tests.fuzz.runner import Target
from tests.support.chat_server import Body, Fault, Server

words = st.text(max_size=12) | st.sampled_from(["A", " B", "[C]", "[2] > [1]", "Answer: B", "\ud800", ""])
plain = st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | words
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)
entries = st.fixed_dictionaries({}, optional={"token": words | anything, "logprob": st.floats() | anything})
tokens = st.tuples(entries, st.lists(entries | anything, max_size=4) | anything).map(
    lambda pair: {**pair[0], "top_logprobs": pair[1]}
)
messages = st.fixed_dictionaries(
    {}, optional={"content": words | anything, "refusal": plain, "reasoning_content": plain}
)
choices = st.fixed_dictionaries(
    {"message": messages | anything},
    optional={
        "finish_reason": st.sampled_from(["stop", "length", "content_filter", None]) | anything,
        "logprobs": st.fixed_dictionaries({"content": st.lists(tokens, max_size=3) | anything}) | anything,
    },
)
usages = st.fixed_dictionaries(
    {}, optional={"prompt_tokens": st.integers(0, 99) | anything, "completion_tokens": anything}
)
entry = st.fixed_dictionaries({"token": words, "logprob": st.floats() | st.floats(-20, 0)})
named = st.tuples(entry, st.lists(entry, max_size=4)).map(lambda pair: {**pair[0], "top_logprobs": pair[1]})
sound = st.fixed_dictionaries(
    {
        "message": st.fixed_dictionaries({"content": words | st.none()}, optional={"refusal": words}),
        "finish_reason": st.sampled_from(["stop", "length", "content_filter"]),
        "logprobs": st.fixed_dictionaries({"content": st.lists(named, max_size=3)}) | st.none(),
    }
)
responses = st.one_of(
    st.fixed_dictionaries({"choices": st.lists(sound, min_size=1, max_size=1)}),
    st.fixed_dictionaries({"choices": st.lists(sound | choices, min_size=1, max_size=2)}),
    st.fixed_dictionaries(
        {"choices": st.lists(choices, max_size=2) | anything}, optional={"usage": usages | anything}
    ),
    anything,
).map(lambda made: json.dumps(made).encode("utf-8", "replace")) | st.binary(max_size=40)
statuses = st.sampled_from([200] * 12 + [400, 429, 500])


class _Endpoint:
    """Sends what the next check wants."""

    def __init__(self) -> None:
        self.sends = Fault()
        server = Server(self._answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.rankers = [
            Ranker(scorer=ChatScorer("m", base_url=server.url, retries=0, logprobs=logprobs))
            for logprobs in (True, False)
        ]

    def _answer(self, path: str, body: Body) -> Fault:
        return self.sends


@cache
def _endpoint() -> _Endpoint:
    return _Endpoint()


def check(case: tuple[int, bytes, bool, str]) -> None:
    status, body, logprobs, method = case
    endpoint = _endpoint()
    endpoint.sends = Fault(status, body)
    try:
        ranking = endpoint.rankers[not logprobs].rank("q", ["first", "second", "third"], method=method)
    except RemoteError:
        return
    assert sorted(ranking.order) == [0, 1, 2]
    scores: list[Any] = [item.score for item in ranking]
    assert scores == sorted(scores, reverse=True)
    assert ranking.stats.calls >= 1
    json.dumps(ranking.to_dict(), allow_nan=False)


TARGET = Target(
    "chat",
    st.tuples(statuses, responses, st.booleans(), st.sampled_from(["iranker", "selection", "dranker"])),
    check,
    chunk=100,
    prepare=_endpoint,
)
