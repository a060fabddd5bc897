"""Searches of a word or two, and of words that it does not have, by the bundled model."""

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


def test_texts_that_the_vocabulary_lacks_are_reported() -> None:
    """Another script is read as one unknown word after the other."""
    with Ranker() as ranker:
        ranking = ranker.rank("how do bees find flowers?", ["by scent", "🐝🌸", "the dance 🐝 of bees"])
        assert [(repair.kind, repair.index) for repair in ranking.repairs] == [("unknown", 1)]
        asked = ranker.rank("เมืองหลวงของฝรั่งเศสคืออะไร", ["by scent", "by colour"])
        assert [(repair.kind, repair.index) for repair in asked.repairs] == [("unknown", None)]
