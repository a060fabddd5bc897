"""What a caller has set in torch changes no ranking, and is as it was when a model was loaded and asked."""

from __future__ import annotations

import pytest
import torch

from rranker import Ranker
from tests.support.checkpoints import save_checkpoint, small_tokenizer
from tests.support.samples import QUERY, TEXTS

CALLS = [
    {"method": "iranker"},
    {"method": "query_likelihood"},
    {"method": "iranker", "reasoning": True, "max_think_tokens": 5, "temperature": 1.0},
]


@pytest.fixture(scope="module")
def windowed(tmp_path_factory):
    """A language model whose windows the prompts outgrow."""
    folder = tmp_path_factory.mktemp("gemma3")
    return save_checkpoint(folder, "gemma3", small_tokenizer(), sliding_window=24)


def asked(ranker, calls):
    return [ranker.rank(QUERY, TEXTS, template="passage", **call).rounds for call in calls]


@pytest.mark.parametrize(("name", "mode"), [("bundled", None), ("windowed", "causal"), ("windowed", "block")])
def test_another_default_device_changes_nothing(windowed, name, mode):
    """`torch.set_default_device("cuda")`, say. Here it is one on which nothing can be computed."""
    model, calls = (None, [{}]) if name == "bundled" else (windowed, CALLS)
    settings = {"dtype": "float32", "kv_cache_tokens": 8000, "attention_mode": mode}
    with Ranker(model, **settings) as before:
        expected = asked(before, calls)
        with torch.device("meta"):
            assert asked(before, calls) == expected
            with Ranker(model, **settings) as inside:
                assert asked(inside, calls) == expected


@pytest.mark.parametrize("name", ["bundled", "windowed"])
def test_loading_and_ranking_draw_none_of_the_callers_random_numbers(windowed, name):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with Ranker(None if name == "bundled" else windowed, dtype="float32", kv_cache_tokens=8000) as ranker:
        asked(ranker, [{}] if name == "bundled" else CALLS)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("name", "mode"), [("bundled", None), ("windowed", "causal"), ("windowed", "block")])
def test_autocast_of_whoever_takes_a_step_changes_nothing(windowed, name, mode):
    """A step serves the calls of other threads, too: the model computes in the types that it was loaded in."""
    model, calls = (None, [{}]) if name == "bundled" else (windowed, CALLS)
    settings = {"dtype": "float32", "kv_cache_tokens": 8000, "attention_mode": mode}
    with Ranker(model, **settings) as before:
        expected = asked(before, calls)
        with torch.autocast("cpu", torch.bfloat16):
            assert asked(before, calls) == expected
            with Ranker(model, **settings) as inside:
                assert asked(inside, calls) == expected
