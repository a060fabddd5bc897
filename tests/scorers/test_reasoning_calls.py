"""How to think is said by a call, on one loaded model; what the Ranker was made with holds where it does not say."""

from __future__ import annotations

import pytest

from rranker import Ranker
from rranker.scorers.chat_api import ChatScorer
from tests.support.checkpoints import save_checkpoint, small_tokenizer
from tests.support.samples import QUERY, TEXTS

THINK = 12
LOADED = {"dtype": "float32", "kv_cache_tokens": 8000, "relayout": "keep"}
THINKS = {"reasoning": True, "max_think_tokens": THINK}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("qwen2"), "qwen2", small_tokenizer())


@pytest.fixture(scope="module")
def ranker(checkpoint):
    with Ranker(checkpoint, **LOADED, **THINKS) as made:
        yield made


@pytest.fixture(scope="module")
def written(checkpoint):
    with Ranker(checkpoint, **LOADED, **THINKS, format="r1_ranker") as made:
        yield made


@pytest.fixture(scope="module")
def bundled():
    with Ranker(kv_cache_tokens=4000) as made:
        yield made


def test_a_call_says_how_to_think_on_a_model_that_was_loaded_without(checkpoint, ranker):
    short = {"max_think_tokens": 5, "method": "iranker"}
    with Ranker(checkpoint, **LOADED) as plain:
        assert plain.rank(QUERY, TEXTS, method="iranker").rounds[0].thought is None
        thought = plain.rank(QUERY, TEXTS, **THINKS)
        shorter, other = plain.rank_batch([(QUERY, TEXTS[:3])] * 2, reasoning=True, progress=False, **short)
        with plain.stream(QUERY, TEXTS[:2], reasoning=True, temperature=1.0, **short) as stream:
            drawn = list(stream)
        with pytest.raises(ValueError, match="pass reasoning=True"):
            plain.rank(QUERY, TEXTS, **short)
    assert thought.rounds == ranker.rank(QUERY, TEXTS).rounds  # as loaded with these settings
    assert shorter.stats.tokens_generated == 2 * 5
    assert other.rounds == shorter.rounds
    assert drawn[0].thought != shorter.rounds[0].thought


def test_a_call_changes_part_of_what_the_ranker_thinks_by_or_switches_it_off(ranker, written):
    once = {"method": "dranker", "template": "passage"}
    for made in (ranker, written):
        assert made.rank(QUERY, TEXTS, reasoning=False, **once).rounds[0].thought in (None, "")
        assert made.rank(QUERY, TEXTS, max_think_tokens=3, **once).rounds[0].thought
    assert ranker.rank(QUERY, TEXTS, max_think_tokens=3, **once).stats.tokens_generated == 3
    assert ranker.rank(QUERY, TEXTS, **once).stats.tokens_generated == THINK
    with pytest.raises(ValueError, match="allow fewer"):
        ranker.rank(QUERY, TEXTS, max_think_tokens=2048)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"reasoning": True}, ValueError, "prompts without words"),
        ({"reasoning": "yes"}, ValueError, "reasoning must be True, False or None"),
        ({"reasoning": True, "temperature": "hot"}, TypeError, "temperature must be a number"),
        ({"reasoning": True, "top_p": 0}, ValueError, "top_p must be a number above 0"),
        ({"reasoning": True, "max_think_tokens": 1.5}, TypeError, "max_think_tokens must be a whole number"),
    ],
)
def test_wrong_settings_of_a_call_say_what_to_do(bundled, settings, error, message):
    with pytest.raises(error, match=message):
        bundled.rank(QUERY, TEXTS, **settings)


def test_a_scorer_of_ones_own_is_not_asked_to_think():
    scorer = ChatScorer("name", base_url="http://127.0.0.1:9")
    with pytest.raises(ValueError, match="language models that run here"):
        Ranker(scorer=scorer).rank(QUERY, TEXTS, reasoning=True)
    with pytest.raises(ValueError, match="language models that run here"):
        Ranker(scorer=scorer, reasoning=True)
