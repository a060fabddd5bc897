"""API keys of remote models: those that no request can carry are refused, and none is ever shown."""

from __future__ import annotations

import pytest

from rranker import Ranker
from rranker.scorers.chat_api import ChatScorer
from rranker.scorers.remote import RemoteError
from tests.support.chat_answers import VALUES, honest


@pytest.mark.parametrize("key", ["sk-mine\n", "sk-mine ", "sk-mi\x00ne", "sk-miné"])
def test_a_key_that_no_request_can_carry_is_refused_and_never_shown(served, key, monkeypatch):
    server = served(honest)
    with pytest.raises(ValueError, match="api_key begins or ends with") as passed:
        ChatScorer("m", base_url=server.url, api_key=key)
    with pytest.raises(TypeError, match="api_key must be a string") as of_bytes:
        ChatScorer("m", base_url=server.url, api_key=key.encode())
    assert "sk-" not in str(passed.value) + str(of_bytes.value)
    if "\0" not in key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(ValueError, match="OPENAI_API_KEY begins or ends with") as known:
            ChatScorer("m", base_url=server.url)
        assert "sk-" not in str(known.value)
    assert server.asked == []


def test_the_key_of_a_client_of_ones_own_is_never_shown(served):
    import openai

    client = openai.AsyncOpenAI(base_url=served(honest).url, api_key="sk-mine\n")
    with (
        Ranker(scorer=ChatScorer("m", client=client, backoff=0.01)) as ranker,
        pytest.raises(RemoteError, match="check its API key for spaces and line breaks") as failed,
    ):
        ranker.rank("q", list(VALUES))
    assert "sk-mine" not in str(failed.value)


def test_settings_that_are_shown_hold_no_key(served):
    scorer = ChatScorer("m", base_url=served(honest).url, api_key="sk-mine")
    assert "sk-mine" not in repr(scorer._settings)
