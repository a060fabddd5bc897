"""Item factors: whom a history speaks for, by names alone, against loops that say it plainly; and their file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rranker.engine.loading.item_factors import FACTORS_FILE, load_item_factors, save_item_factors
from rranker.item_factors import UNKNOWN, ItemFactors, item_key

TITLES = [f"title {number}" for number in range(40)]


def made(seed: int = 0, size: int = 6, spaces: int = 2, decay: float = 0.8) -> ItemFactors:
    """Of the even titles, in so many spaces by turns."""
    rng = np.random.default_rng(seed)
    keys = sorted(map(item_key, TITLES[::2]))
    numbers = np.arange(len(keys)) % spaces
    vectors = rng.normal(size=(len(keys), size)).astype(np.float32)
    return ItemFactors(np.array(keys, dtype=np.int64), numbers, vectors, decay)


def plainly(factors: ItemFactors, history: list[str], text: str) -> float:
    rows = {int(key): row for row, key in enumerate(factors.keys)}
    item, total = rows.get(item_key(text)), 0.0
    for age, title in enumerate(reversed(history)):
        seen = rows.get(item_key(title))
        if seen is None or item is None or seen == item or factors.spaces[seen] != factors.spaces[item]:
            continue
        total += factors.decay**age * float(factors.factors[seen] @ factors.factors[item])
    return total


def test_it_is_the_sum_over_what_was_chosen_of_the_products() -> None:
    factors, rng = made(), np.random.default_rng(1)
    for length in (0, 1, 5, 30):
        history = [TITLES[i] for i in rng.integers(len(TITLES), size=length)]
        texts = [TITLES[i] for i in rng.permutation(len(TITLES))[:17]]
        expected = [plainly(factors, history, text) for text in texts]
        found = factors.prior(history, texts)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        assert not found[[text in TITLES[1::2] for text in texts]].any()


def test_a_number_does_not_depend_on_the_other_candidates() -> None:
    factors, history = made(size=64), TITLES[:31]
    together = factors.prior(history, TITLES)
    alone = [factors.prior(history, [text])[0] for text in TITLES]
    assert together.tolist() == alone
    assert factors.prior(history, TITLES[::-1]).tolist() == alone[::-1]


def test_a_history_is_of_the_space_that_most_of_what_is_known_of_it_is_of() -> None:
    factors = made(spaces=3)
    of = {
        space: [
            t for t in TITLES if (row := factors.rows([t])[0]) != UNKNOWN and factors.spaces[row] == space
        ]
        for space in range(3)
    }
    assert factors.space([*of[2][:3], *of[0][:2], *TITLES[1::2]]) == 2
    assert factors.space([of[2][0], of[1][0]]) == 1  # of several the first
    assert factors.space(TITLES[1::2]) is None
    assert factors.space([]) is None
    assert factors.space(of[0][0]) is None  # in words


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("Fugitive, The (1993)", "The Fugitive (1993)"),
        ("  the   FUGITIVE (1993)", "The Fugitive (1993)"),
        ("Beautiful Mind, A", "a beautiful mind"),
        ("Röyksopp", "RO\u0308YKSOPP"),
        ("Ｔｉｔｌｅ", "title"),
    ],
)
def test_an_item_is_known_however_its_name_is_written(written: str, other: str) -> None:
    assert item_key(written) == item_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Alien", "Aliens"), ("It (1990)", "It (2017)"), ("", "a"), ("\ud800", "")]
)
def test_other_names_are_other_items(one: str, other: str) -> None:
    assert item_key(one) != item_key(other)


def test_what_is_not_known_has_no_row() -> None:
    factors = made()
    rows = factors.rows(["nobody's", TITLES[4], "", TITLES[5]])
    assert rows[[0, 2, 3]].tolist() == [UNKNOWN] * 3
    assert factors.keys[rows[1]] == item_key(TITLES[4])
    nothing = ItemFactors(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.float32), 0.5)
    assert nothing.prior(TITLES, TITLES).tolist() == [0.0] * len(TITLES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"keys": np.array([2, 1])}, "keys must ascend"),
        ({"spaces": np.zeros(3, dtype=np.int64)}, r"not of shapes \(2,\), \(3,\) and \(2, 3\)"),
        ({"factors": np.array([[1, np.nan, 0], [0, 0, 0]], dtype=np.float32)}, "finite"),
        ({"decay": 0.0}, "decay must be above 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], says: str) -> None:
    whole = {
        "keys": np.array([1, 2]),
        "spaces": np.zeros(2, dtype=np.int64),
        "factors": np.ones((2, 3), np.float32),
    }
    with pytest.raises(ValueError, match=says):
        ItemFactors(**{**whole, "decay": 0.9, **change})  # type: ignore[arg-type]


def test_the_file_keeps_them_to_eight_bits_a_number(tmp_path: Path) -> None:
    factors = made(size=64)
    factors.factors[3] = 0.0
    save_item_factors(factors, tmp_path)
    found = load_item_factors(tmp_path)
    assert found is not None
    assert found.keys.tolist() == factors.keys.tolist()
    assert found.spaces.tolist() == factors.spaces.tolist()
    assert found.decay == pytest.approx(factors.decay)
    steps = np.abs(factors.factors).max(-1) / 127
    assert (np.abs(found.factors - factors.factors) <= 0.5001 * steps[:, None]).all()
    again = tmp_path / "again"
    again.mkdir()
    save_item_factors(found, again)
    assert (again / FACTORS_FILE).read_bytes() == (tmp_path / FACTORS_FILE).read_bytes()


def test_a_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    assert load_item_factors(tmp_path) is None
    save_item_factors(made(), tmp_path)
    path = tmp_path / FACTORS_FILE
    whole, held = path.read_bytes(), load_file(path)
    path.write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is damaged"):
        load_item_factors(tmp_path)
    for name, wrong in (
        ("decay", np.array([7.0], dtype=np.float32)),
        ("keys", held["keys"][::-1].copy()),
        ("scales", held["scales"][:-1].copy()),
        ("factors", held["factors"].astype(np.float32)),
        ("scales", np.full_like(held["scales"], np.inf)),
    ):
        save_file({**held, name: wrong}, path)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_item_factors(tmp_path)


def test_a_model_without_any_leaves_none_of_another_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / FACTORS_FILE).write_bytes(b"of the model that was here before")
    save_item_factors(None, tmp_path)
    assert not (tmp_path / FACTORS_FILE).exists()
    save_item_factors(None, tmp_path)
