"""`context_bias` in a checkpoint: saved, read, refused, and what rankings by it are."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as t

from rranker import Ranker
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.settings import ModelSettings
from rranker.training.sft.from_encoder import main
from tests.support.encoders import save_encoder
from tests.support.toy_examples import WORDS

QUERY = "How do red lamps turn light into heat?"
TEXTS = [
    "A red lamp turns most of its current into heat.",
    "The cat sat on the mat.",
    "Lamps of the old kind give light, and warm the room.",
    "Heat pumps move warmth from a cold place to a warm one.",
    "Red.",
]
HERE = Path("config.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny encoder whose numbers bfloat16 holds, and the ranking model of it."""
    folder, out = tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("ranker")
    save_encoder(folder, words=WORDS)
    t.AutoModel.from_pretrained(folder, dtype=torch.bfloat16).float().save_pretrained(folder)
    main([str(folder), str(out)])
    return folder, out


def with_bias(model: Path, to: Path, bias: Any) -> Path:
    """A copy whose config.json says so; None leaves the entry out, as earlier releases did."""
    shutil.copytree(model, to)
    config = json.loads((to / "config.json").read_text())
    del config["rranker"]["context_bias"]
    if bias is not None:
        config["rranker"]["context_bias"] = bias
    (to / "config.json").write_text(json.dumps(config))
    return to


def ranked(ranker: Ranker, texts: list[str]) -> tuple[Any, ...]:
    """Everything that a ranking says, by text, to the last bit."""
    ranking = ranker.rank(QUERY, texts, template="passage")
    rounds = [(one.probabilities, [texts[i] for i in one.alive]) for one in ranking.rounds]
    return [(item.text, item.score) for item in ranking], rounds


@pytest.mark.parametrize("bias", [-2.0, -3, 0.5, 0.0])
def test_it_is_saved_and_read(made: tuple[Path, Path], tmp_path: Path, bias: float) -> None:
    settings = ModelSettings(attention="block", context_bias=bias)
    assert ModelSettings.read(json.loads(json.dumps(settings.entry())), HERE) == settings
    assert read_checkpoint(with_bias(made[1], tmp_path / "model", bias), None).settings.context_bias == bias


@pytest.mark.parametrize("bias", [math.nan, -math.inf, 10_001, 10**400, True, "-2", None])
def test_what_is_no_moderate_number_is_refused(bias: Any) -> None:
    entry = {**ModelSettings(attention="block").entry(), "context_bias": bias}
    with pytest.raises(
        ValueError, match=r"config\.json: .*context_bias must be a number from -10,000 to 10,000"
    ):
        ModelSettings.read(entry, HERE)


def test_it_goes_with_block_attention() -> None:
    with pytest.raises(
        ValueError, match=r"context_bias -2\.0 goes with attention 'block'.*not with 'causal'"
    ):
        ModelSettings(attention="causal", context_bias=-2.0)
    assert ModelSettings(attention="causal", context_bias=0).context_bias == 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rankings_are_bitwise_independent_of_the_input_order(
    made: tuple[Path, Path], tmp_path: Path, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    with Ranker(with_bias(made[1], tmp_path / "model", -2.0), dtype=dtype) as ranker:
        first = ranked(ranker, TEXTS)
        for _ in range(3):
            assert ranked(ranker, [TEXTS[i] for i in rng.permutation(len(TEXTS))]) == first


def test_without_the_entry_it_is_zero_and_another_number_changes_scores(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    found = []
    for name, bias in (("before", None), ("zero", 0.0), ("two", -2.0)):
        with Ranker(with_bias(made[1], tmp_path / name, bias), dtype="float32") as ranker:
            found.append(ranked(ranker, TEXTS))
    assert found[0] == found[1]
    assert found[1] != found[2]


def test_very_negative_it_ranks_by_the_cosine_of_texts_that_are_encoded_alone(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    lm, tokenizer = t.AutoModel.from_pretrained(made[0]).eval(), t.AutoTokenizer.from_pretrained(made[0])
    with torch.no_grad():
        query, *texts = (
            lm(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
            for text in (QUERY, *TEXTS)
        )
    expected = [float(torch.cosine_similarity(query, text, dim=0)) for text in texts]
    assert np.diff(np.sort(expected)).min() > 1e-5  # a clear order
    with Ranker(with_bias(made[1], tmp_path / "model", -1e4), dtype="float32") as ranker:
        ranking = ranker.rank(QUERY, TEXTS, template="passage")
        assert ranking.order == np.argsort(-np.array(expected)).tolist()
        (only,) = ranker.rank(QUERY, TEXTS, template="passage", method="dranker").rounds
    logits, scaled = np.log(only.probabilities), 20 * np.array(expected)[list(only.alive)]
    np.testing.assert_allclose(logits - logits.mean(), scaled - scaled.mean(), atol=2e-4)
