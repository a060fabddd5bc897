"""A ranking model made of an encoder, and the same with items that it knows by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from rranker.training.examples.factors import Factorisation
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.choices import Choices
from rranker.training.sft.item_factors import fit_item_factors, write_item_factors
from tests.support.tastes import cases, people
from tests.support.toys import save_encoder_policy


@pytest.fixture(scope="session")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder_policy(tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="session")
def knowing(without: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, tokenizer = tmp_path_factory.mktemp("knowing") / "model", AutoTokenizer.from_pretrained(without)
    choices = Choices("toy", people(60, 1), cases(20, 2), people(20, 2))
    factors, rows = fit_item_factors(load_model(without), tokenizer, [choices], Factorisation(size=8))
    assert len(rows) == 1
    write_item_factors(without, out, factors)
    return out
