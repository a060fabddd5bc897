"""Weights between two of one shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rranker import Ranker
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.item_factors import ItemFactors
from rranker.training.sft.average import average, main
from rranker.training.sft.checkpoint import dtype_of, load_model, save_model
from rranker.training.sft.from_encoder import from_encoder
from tests.support.checkpoints import TINY_START
from tests.support.encoders import save_encoder
from tests.support.toy_examples import WORDS


def test_a_share_of_the_way_is_gone_by_every_weight(tmp_path: Path) -> None:
    model, tokenizer = from_encoder(save_encoder(tmp_path / "encoder", words=WORDS))
    save_model(model, tokenizer, tmp_path / "before")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    save_model(model, tokenizer, tmp_path / "after")
    main([*(str(tmp_path / name) for name in ("before", "after", "out")), "--share", "0.25"])
    before, after, out = (load_model(tmp_path / name) for name in ("before", "after", "out"))
    for one, other, between in zip(before.parameters(), after.parameters(), out.parameters(), strict=True):
        torch.testing.assert_close(between, one + 0.25 * (other - one))
    with Ranker(tmp_path / "out") as ranker:
        assert sorted(ranker.rank("red lamps", list(WORDS[:4])).order) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("before", "after", "out"),
    [
        (torch.bfloat16, torch.bfloat16, torch.bfloat16),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.float32, torch.float16, torch.float32),
    ],
)
def test_no_number_is_saved_in_fewer_bits_than_it_came_in(
    tmp_path: Path, before: torch.dtype, after: torch.dtype, out: torch.dtype
) -> None:
    model, tokenizer = from_encoder(save_encoder(tmp_path / "encoder", words=WORDS))
    for name, dtype in (("before", before), ("after", after)):
        save_model(model, tokenizer, tmp_path / name, dtype=dtype)
    main([str(tmp_path / name) for name in ("before", "after", "out")])
    assert dtype_of(tmp_path / "out") == out


@pytest.mark.parametrize("who", ["neither", "before", "after", "both", "two kinds"])
def test_items_stay_where_both_models_know_the_same(
    who: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = from_encoder(save_encoder(tmp_path / "encoder", words=WORDS))
    keys, spaces = np.array([3, 8]), np.array([0, 0])
    items = ItemFactors(keys, spaces, np.eye(2, dtype=np.float32), 0.9)
    others = replace(items, factors=2 * items.factors) if who == "two kinds" else items
    for name, given in (("before", items), ("after", others)):
        model.item_factors = given if who in (name, "both", "two kinds") else None
        save_model(model, tokenizer, tmp_path / name)
    main([str(tmp_path / name) for name in ("before", "after", "out")])
    kept = load_model(tmp_path / "out").item_factors
    assert (kept is not None) == (who == "both")
    assert ("item factors are left out" in capsys.readouterr().out) == (who not in ("neither", "both"))


def test_a_causal_model_stays_one(tmp_path: Path) -> None:
    from rranker.engine.loading.checkpoint import read_checkpoint

    for name in ("before", "after"):
        save_model(load_model(TINY_START), read_tokenizer(TINY_START), tmp_path / name, "causal")
    main([str(tmp_path / name) for name in ("before", "after", "out")])
    assert read_checkpoint(tmp_path / "out", None).settings.attention == "causal"
    with pytest.raises(SystemExit):
        main([str(tmp_path / "before"), str(TINY_START), str(tmp_path / "mixed")])


def test_models_of_two_shapes_and_shares_beyond_the_ends_are_refused(tmp_path: Path) -> None:
    encoder, _ = from_encoder(save_encoder(tmp_path / "encoder", words=WORDS))
    with pytest.raises(ValueError, match="only a model and what a training made of it can be averaged"):
        average(load_model(TINY_START), encoder, 0.5)
    with pytest.raises(SystemExit):
        main([str(TINY_START), str(TINY_START), str(tmp_path / "out"), "--share", "1.5"])
