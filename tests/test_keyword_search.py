"""Searches of a word or two, by the bundled model."""

from __future__ import annotations

import pytest

from rranker import Ranker


@pytest.mark.parametrize("template", ["passage", None])
def test_a_search_of_a_word_or_two_finds_its_text_among_shorter_ones(template: str | None) -> None:
    """Mean states of very short texts are alike; the words of a query are compared all the same."""
    answers = {
        "laptop": "Choosing a laptop for university depends on weight, battery life and price.",
        "insulin": "Insulin is a hormone that regulates how the body takes up glucose.",
        "yoga mat": "This non-slip mat for yoga is 6 mm thick and easy to clean.",
        "refund policy": "Items may be returned within 30 days; our refund policy pays the price back.",
        "volcano": "Where magma reaches the surface it builds a volcano, from which lava erupts.",
    }
    others = ["", "n/a", "Home", "Tea", "Read more...", "dog food"]
    with Ranker() as ranker:
        for query, answer in answers.items():
            assert ranker.rank(query, [*others, answer], template=template)[0].text == answer
