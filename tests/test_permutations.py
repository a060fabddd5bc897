"""Comparisons of orders against plain references, and the parser's properties on any input."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rranker import permutations
from tests.support import extension_reference as references
from tests.support.hostile_texts import HOSTILE_TEXTS, HOSTILE_UNITS

orders = st.integers(1, 30).flatmap(
    lambda n: st.tuples(st.permutations(list(range(n))), st.permutations(list(range(n))))
)


@given(orders)
def test_comparisons_equal_their_references(pair):
    a, b = pair
    assert permutations.inversions(a) == references.inversions(a)
    assert permutations.kendall_tau(a, b) == pytest.approx(references.kendall_tau(a, b))
    assert permutations.rbo(a, b, p=0.8) == pytest.approx(references.rbo(a, b, 0.8))
    ranks = np.corrcoef(np.argsort(a), np.argsort(b))[0, 1] if len(a) > 1 else 1.0
    assert permutations.spearman(a, b) == pytest.approx(ranks)
    assert permutations.invert(a).tolist() == np.argsort(a).tolist()
    assert permutations.compose(a, b).tolist() == [a[i] for i in b]
    assert permutations.compose(a, permutations.invert(a)).tolist() == list(range(len(a)))


def test_a_batch_equals_its_rows():
    rng = np.random.default_rng(0)
    rows = [(rng.permutation(n), rng.permutation(n)) for n in (1, 7, 2, 50)]
    a, b = (np.concatenate([r[side] for r in rows]) for side in (0, 1))
    offsets = np.cumsum([0] + [len(r[0]) for r in rows])
    for measure in (permutations.kendall_tau, permutations.spearman, permutations.rbo):
        assert measure(a, b, offsets).tolist() == [measure(x, y) for x, y in rows]
    assert permutations.inversions(a, offsets).tolist() == [permutations.inversions(x) for x, _ in rows]


@pytest.mark.parametrize(
    ("order", "message"), [([0, 0], "appears twice"), ([0, 2], "out of range"), ([-1, 0], "out of range")]
)
def test_what_is_no_permutation_is_refused(order, message):
    with pytest.raises(ValueError, match=message):
        permutations.invert(order)
    with pytest.raises(TypeError, match="integers"):
        permutations.invert([0.0, 1.0])


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 12), st.booleans())
@example(b"<think>" * 9, 3, True)
@example(b"\xef\xbc\x91", 2, False)
@example("［９９９９９９９９９９９９９９９９９９９９９９］".encode(), 2, False)
def test_any_bytes_give_a_full_permutation(text, n, with_texts):
    texts = [f"title {i}" for i in range(n)] if with_texts else None
    parsed = permutations.parse(text, n, candidates=texts)
    assert sorted(parsed.order) == list(range(n))
    assert 0 <= parsed.listed <= n
    assert parsed.count("missing") in (0, n - parsed.listed)


pieces = st.lists(
    st.sampled_from(
        [
            *"[]<>,. \n\t0123456789ABCab-:*#\"'",
            "[1]",
            "12",
            "passage ",
            "<think>",
            "</think>",
            "<answer>",
            "</answer>",
            "［",
            "２",
            " > ",
            "title 1",
            "the",
            "1. ",
            "{",
            "}",
            "→",
            "[-1]",
        ]
    ),
    max_size=60,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(pieces, st.integers(1, 12))
def test_any_model_like_text_gives_a_full_permutation(text, n):
    parsed = permutations.parse(text, n, candidates=[f"title {i}" for i in range(n)])
    assert sorted(parsed.order) == list(range(n))


@settings(max_examples=100, deadline=None)
@given(st.permutations(list(range(12))), st.sampled_from([" > ", ", ", "\n", " ", " → ", "; ", " then "]))
def test_a_clean_list_is_read_without_repairs(order, separator):
    for written in ("[{}]", "{}", "Passage {}", '"{}"'):
        parsed = permutations.parse(separator.join(written.format(i + 1) for i in order), 12)
        assert (list(parsed.order), parsed.repairs) == (order, ())
    letters = permutations.parse(separator.join(chr(65 + i) for i in order), 12)
    assert list(letters.order) == order


@pytest.mark.parametrize("unit", HOSTILE_UNITS)
@pytest.mark.parametrize("texts", [None, HOSTILE_TEXTS])
def test_a_long_run_of_any_unit_gives_a_full_permutation(unit, texts):
    """A quadratic step would hang here; `python -m bench.test_parse` prints the time a byte by length."""
    parsed = permutations.parse(unit * (300_000 // len(unit)), 20, candidates=texts)
    assert sorted(parsed.order) == list(range(20))
