"""Names of the release before: they still work, say what they are called now, and nothing else slips through."""

from __future__ import annotations

from typing import Any

import pytest

import rranker
import rranker.data
import rranker.prompts
from rranker import Ranker
from rranker.data import RankingExample
from rranker.deprecated import SETTINGS
from tests.support.checkpoints import TINY_START

TEXTS = [
    "Bees dance to show where flowers are.",
    "The stock exchange opened higher.",
    "Honey keeps for years.",
]

OLD: dict[str, tuple[Any, Any]] = {
    "attention": ("causal", "causal"),
    "backend": ("reference", "reference"),
    "order": ("given", "keep"),
    "max_tokens_in_flight": (2048, 2048),
    "step_tokens": (512, 512),
}


def test_every_old_name_is_tried() -> None:
    assert OLD.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", OLD)
def test_an_old_name_warns_and_does_what_the_new_one_does(name: str) -> None:
    old, new = OLD[name]
    with pytest.warns(DeprecationWarning, match=f"'{name}' is now called '{SETTINGS[name]}'"):
        before = Ranker(TINY_START, dtype="float32", **{name: old})
    with before, Ranker(TINY_START, dtype="float32", **{SETTINGS[name]: new}) as after:
        assert before._arguments == after._arguments
        assert before.rank("bees", TEXTS) == after.rank("bees", TEXTS)


def test_rank_takes_old_names_too() -> None:
    with pytest.warns(DeprecationWarning, match="'max_tokens_in_flight' is now called 'kv_cache_tokens'"):
        assert len(rranker.rank("bees", TEXTS, max_tokens_in_flight=1024)) == 3


def test_a_name_given_twice_or_never_known_is_refused() -> None:
    with pytest.raises(TypeError, match="'relayout' was given twice, the other time by its old name 'order'"):
        Ranker(order="given", relayout="keep")
    with pytest.raises(TypeError, match="there is no argument 'devise'; did you mean 'device'"):
        Ranker(devise="cpu")
    with pytest.raises(TypeError, match="there is no argument 'topk'; did you mean 'top_k'"):
        rranker.rank("bees", TEXTS, topk=1)
    with pytest.raises(TypeError, match="there is no argument 'zzz'; there are model, tokenizer, device"):
        Ranker(zzz=1)


def test_an_old_value_that_is_wrong_is_named_by_the_new_name() -> None:
    with (
        pytest.warns(DeprecationWarning, match="order"),
        pytest.raises(ValueError, match="relayout must be one of"),
    ):
        Ranker(order="worst")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (rranker.data, "Case", "RankingExample"),
        (rranker.data, "NINE", "BENCHMARK_TASKS"),
        (rranker.prompts, "SETTINGS", "ROUTING_INSTRUCTIONS"),
    ],
)
def test_members_by_their_old_names_are_the_same_objects(module: Any, old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{module.__name__}.{old} is now called {new}"):
        assert getattr(module, old) is getattr(module, new)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


def test_relevance_is_still_read_as_grades() -> None:
    example = RankingExample("passage", "q", None, ["a", "b"], [1.0, 0.0], "1")
    with pytest.warns(DeprecationWarning, match="now called relevance"):
        assert example.grades == [1.0, 0.0]
