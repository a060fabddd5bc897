"""Test rows whose query also trains in nearly the same words."""

from __future__ import annotations

import pytest

from rranker.data import routerbench
from rranker.data.twins import near_twins

KNOWN = ["Sarah was a better surgeon than Maria so _ got the easy cases.", "Which is a chemical change?"]


def test_a_word_less_is_a_twin_and_the_same_topic_is_not() -> None:
    asked = [
        "Sarah was a better surgeon than Maria so _ got the hard cases.",
        "Maria was a surgeon, and Sarah was too.",
        "",
    ]
    assert near_twins(KNOWN, asked) == [True, False, False]
    assert near_twins(KNOWN, KNOWN, least=1.0) == [True, True]
    assert near_twins([], asked) == [False, False, False]


@pytest.mark.data
def test_the_public_split_parts_pairs_of_winogrande() -> None:
    train, test = routerbench()
    sentences = [row.query for row in test if "winogr" in row.id.lower()]
    share = sum(near_twins([row.query for row in train], sentences)) / len(sentences)
    assert 0.25 < share < 0.4
