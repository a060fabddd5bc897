"""Validation is cut from the training side by a hash."""

from __future__ import annotations

from rranker.data import in_validation


def test_one_key_in_ten_validates_or_one_in_as_many_as_is_asked() -> None:
    keys = [f"query {number}" for number in range(4000)]
    for one_in in (10, 5):
        kept = [key for key in keys if in_validation(key, one_in)]
        assert 0.85 < len(kept) * one_in / len(keys) < 1.15


def test_any_text_is_a_key() -> None:
    assert isinstance(in_validation("\ud800"), bool)  # half a surrogate pair, as broken files hold
