"""Item factors of several sets of histories in one model: added, and fitted again to everybody."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rranker.data import movielens
from rranker.item_factors import ItemFactors, item_key
from rranker.training.examples.factors import Factorisation
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.choices import Choices, public_histories
from rranker.training.sft.item_factors import main, refit_item_factors
from rranker.training.sft.item_spaces import joined, refitted
from tests.support.tastes import ITEMS, TASTES, cases, people, quality, rows_of


def test_others_are_added_in_a_space_of_their_own() -> None:
    first, second = (
        ItemFactors(
            np.array(sorted(map(item_key, texts))),
            np.zeros(2, np.int64),
            np.full((2, size), fill, np.float32),
            0.9,
        )
        for texts, size, fill in ((["a", "b"], 2, 1.0), (["b", "c"], 3, 2.0))
    )
    both = joined(first, [second])
    a, b, c = (both.rows([text])[0] for text in ("a", "b", "c"))
    assert both.spaces[[a, b, c]].tolist() == [0, 1, 1]
    assert both.factors[a].tolist() == [1.0, 1.0, 0.0]
    assert both.factors[b].tolist() == [2.0, 2.0, 2.0]
    assert both.prior(["a", "c"], ["b"]).tolist() == [12.0]


def spaces_of_two() -> ItemFactors:
    """What the first twelve items' and the last eight's people chose, each in a space; four are in both."""
    how, fitted = Factorisation(size=4), list[ItemFactors]()
    for items, seed in ((set(ITEMS[:12]), 20), (set(ITEMS[8:]), 21)):
        histories = [[text for text in texts if text in items] for texts in people(40, seed)]
        keys, vectors = how.fit(histories)
        fitted.append(ItemFactors(keys, np.zeros(len(keys), np.int64), vectors, 0.8))
    return joined(None, fitted)


def test_fitted_again_it_knows_what_held_out_people_chose_and_other_spaces_stay() -> None:
    before = spaces_of_two()
    ours = before.spaces == 0
    histories = [[text for text in texts if text in ITEMS[:12]] for texts in people(40, 22)]
    others = [[*texts, f"new {person % TASTES}"] for person, texts in enumerate(histories[:20])]
    after = refitted(before, Choices("toy", histories, [], others), Factorisation(size=6))
    assert after.decay == before.decay
    stays = np.isin(after.keys, before.keys[~ours])
    assert (after.spaces[stays] == 1).all()
    np.testing.assert_array_equal(after.factors[stays][:, :4], before.factors[~ours])
    assert not after.factors[stays][:, 4:].any()
    again = np.isin(after.keys, before.keys[ours])
    assert (after.spaces[again] == 0).all()
    assert (after.factors[again] ** 2).sum() == pytest.approx((before.factors[ours] ** 2).sum(), rel=1e-5)
    known = {item_key(f"new {taste}") for taste in range(TASTES)}
    assert known == set(after.keys.tolist()) - set(before.keys.tolist())
    news = [f"new {taste}" for taste in range(TASTES)]
    for taste in range(TASTES):
        assert after.prior(ITEMS[taste:8:TASTES], news).argmax() == taste


def test_everybody_is_fitted_and_what_was_calibrated_stays(knowing: Path, tmp_path: Path) -> None:
    curve = {"slope": 1.0, "intercept": 0.0, "source": "pointer", "content_free": False}
    shutil.copytree(knowing, tmp_path / "before")
    config = json.loads((knowing / "config.json").read_text())
    config["rranker"]["calibration"] = {"recommendation": curve}
    (tmp_path / "before" / "config.json").write_text(json.dumps(config))
    rows, held = (
        rows_of(
            [replace(case, query=[*case.query, f"{name} {int(case.id) % TASTES}"]) for case in given], path
        )
        for name, given, path in (
            ("seen", cases(60, 1), tmp_path / "rows.jsonl"),
            ("held", cases(20, 2), tmp_path / "held.jsonl"),
        )
    )
    words = ["--data", str(rows), "--validation", str(held), "--size", "8", "--refit"]
    main([str(tmp_path / "before"), str(tmp_path / "after"), *words])
    assert json.loads((tmp_path / "after" / "config.json").read_text()) == config
    found = load_model(tmp_path / "after").item_factors
    assert found is not None
    assert (found.rows(["seen 0", "seen 3", "held 0", "held 3"]) >= 0).all()
    assert quality(tmp_path / "after", cases(24, 3)) == 1.0


def test_what_knows_nothing_of_these_items_cannot_be_fitted_again(
    without: Path, knowing: Path, tmp_path: Path
) -> None:
    rows = rows_of(cases(30, 1), tmp_path / "rows.jsonl")
    with pytest.raises(ValueError, match="this model knows no items: fit them first, without --refit"):
        main([str(without), str(tmp_path / "out"), "--data", str(rows), "--refit"])
    strangers = Choices("toy", [["x", "y"], ["y", "x"]], [], [])
    with pytest.raises(ValueError, match="toy: the model knows none of these items"):
        refit_item_factors(load_model(knowing).item_factors, [strangers], Factorisation())


@pytest.mark.data
def test_of_the_public_histories_nobody_is_on_both_sides_and_no_test_user_on_either() -> None:
    found, given = movielens(), public_histories("rec-movie")
    users = [found.train_users, sorted(found.validation_users)]
    for histories, side in zip((given.histories, given.held_out), users, strict=True):
        assert histories == [[found.titles[item] for item in found.histories[user]] for user in side]
    assert not set(users[0]) & set(users[1])
    assert not found.test_users & {*users[0], *users[1]}
